# Sourced by `run` and `train`: sets `here`, `target`, `work` and `python`, an interpreter with the packages of requirements.txt,
# and goes to the root of the repository.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cd "$here/../.."

target="${CARGO_TARGET_DIR:-target}"
work="$target/compare"
mkdir -p "$work"

# An environment for each list of requirements. PYTHON names the interpreter that makes it.
environment="$work/python-$(sha256sum "$here/requirements.txt" | cut -c1-12)"
if [ ! -e "$environment/complete" ]; then
    "${PYTHON:-python3}" -m venv "$environment"
    "$environment/bin/pip" install --quiet -r "$here/requirements.txt"
    touch "$environment/complete"
fi
python="$environment/bin/python"
