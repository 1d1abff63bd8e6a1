"""``python -m fastml.verify``: write the table of hashes anew, on an x86-64 that runs v3 and the baseline."""

import json
import os
import subprocess
import sys

from . import TABLE, hashes, table_name


def main():
    """Write the table; with an argument, print this target's hashes."""
    if sys.argv[1:] == ["--print"]:
        json.dump(hashes(), sys.stdout)
        return
    table = {}
    for target in ("v3", "baseline"):
        command = [sys.executable, "-m", "fastml.verify", "--print"]
        done = subprocess.run(command, env={**os.environ, "FASTML_ISA": target}, check=True, capture_output=True)
        table[table_name(target)] = json.loads(done.stdout)
    TABLE.write_text(json.dumps(table, indent=0, sort_keys=True) + "\n")


main()
