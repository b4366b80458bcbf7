"""Looks for weak places: in the code with bandit, and in what is pinned by an advisory database.

As a program: `python build_support/audit.py FOLDER`, that of a virtual environment of its own,
so that the tools are no part of what they look at. Ends with 1 where something is found. Where no
advisory database can be reached, or none that knows a pin, it says so and that part is left out.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

_TOOLS = ("bandit>=1.9,<2", "pip-audit>=2.10,<3")
_PINS = "constraints.txt"


def main() -> int:
    """Run both; give the exit code."""
    folder = Path(sys.argv[1])
    if not (folder / "bin" / "pip-audit").exists():
        venv.create(folder, with_pip=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *_TOOLS]
        if subprocess.run(install, check=False).returncode:
            print("bandit and pip-audit can't be installed: nothing was audited")
            return 0
    bandit = [folder / "bin" / "bandit", "-q", "-r", "hc_assets", "-c", "pyproject.toml"]
    findings = subprocess.run(bandit, check=False).returncode
    return max(findings, _audit(folder))


def _audit(folder: Path) -> int:
    command = [folder / "bin" / "pip-audit", "-r", _PINS, "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except json.JSONDecodeError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"no advisory database is at hand, so pins were not audited: {last[:200]}")
        return 0
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        print("no advisory database is at hand: the package index has none, pins were not audited")
        return 0
    found = [(each, flaw) for each in packages for flaw in each.get("vulns", [])]
    for package, flaw in found:
        fixed = ", ".join(flaw["fix_versions"]) or "no release"
        print(f"{package['name']} {package['version']}: {flaw['id']}, mended in {fixed}")
    print(f"{len(packages) - len(unknown)} pins audited, {len(found)} advisories")
    if unknown:
        print(f"not known to the database: {', '.join(unknown)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
