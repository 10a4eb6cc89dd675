"""NumPy's products on one thread."""

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits

from launch.one_thread import one_thread


def test_products_run_on_one_thread_from_then_on() -> None:
    blas = ThreadpoolController().select(user_api="blas")
    assert blas.lib_controllers, "NumPy has a BLAS that can be told"
    with threadpool_limits(limits=2, user_api="blas"):
        one_thread()
        assert {each.num_threads for each in blas.lib_controllers} == {1}
        assert (np.ones((64, 64)) @ np.ones((64, 64)) == 64).all()
