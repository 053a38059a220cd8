"""Makes every mutant, has each judged, and tells which survived: ``python -m tests.mutation``.

What is known of a module is kept while its text stays as it is, except that survivors are tried
again with the tests there are now; ``--afresh`` forgets everything.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.mutation.running import ROOT, Known, judge, report


def main() -> int:
    """Run it; the exit status is 1 if a mutant survived that nobody has explained."""
    parser = argparse.ArgumentParser(description="Put faults into the inner rooms.")
    parser.add_argument("--afresh", action="store_true", help="forget what is known")
    parser.add_argument("--report", action="store_true", help="tell what is known, run nothing")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("modules", nargs="*", help="how their paths begin; all unless named")
    asked = parser.parse_args()
    known = Known(ROOT / "verdicts.jsonl")
    if asked.afresh:
        known.forget()
    if not asked.report:
        judge(Path.cwd(), known, only=tuple(asked.modules), workers=asked.workers)
    lines, unexplained = report(Path.cwd(), known)
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
