"""NumPy's matrix products on one thread."""

from threadpoolctl import threadpool_limits


def one_thread() -> None:
    """From here on, in the whole process.

    A slate's products are small. A pool of threads takes longer to wake for them than one needs to do them, and while
    it waits it spins on cores that others want; the cores are used by workers side by side.
    """
    threadpool_limits(limits=1, user_api="blas")
