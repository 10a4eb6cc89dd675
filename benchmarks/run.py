"""All first figures, in a few minutes: ``make bench``."""

from benchmarks import freshness, plumbing, stages


def main() -> None:
    print("plumbing: events/s with a trivial slate")
    plumbing.print_result(plumbing.run(records=300_000, rounds=3))
    print("\nfreshness: event due to slate read, at 50 events/s")
    freshness.print_result(freshness.run(rate=50.0, seconds=20.0))
    print("\nstages of a slate")
    stages.main()


if __name__ == "__main__":
    main()
