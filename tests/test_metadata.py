"""What the project says of itself in several files is the same in all: version, requirements, Pythons, licence."""

import ast
import re
import tomllib
from importlib import metadata

import pytest

import fastml
from fastml import _info

from .house import ROOT

if not (ROOT / "pyproject.toml").exists():
    pytest.skip("the sources are not here", allow_module_level=True)

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CLASSIFIERS = PROJECT["classifiers"]
CITATION, RECIPE = ROOT / "CITATION.cff", ROOT / "tools" / "conda" / "recipe.yaml"
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def plain(requirement):
    """numpy>=2 and numpy >=2 as ("numpy", ">=2")."""
    name, bound = re.fullmatch(r"([\w-]+)\s*(\S*)", requirement).groups()
    return CONDA_NAMES.get(name, name), bound


def field(path, key):
    (value,) = re.findall(rf"^ *{key}: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return value.strip('"')


def listed(section):
    """The plain items of a list of the recipe, as ``plain`` has them."""
    (body,) = re.findall(rf"^  {section}:\n((?:    .*\n)+)", RECIPE.read_text(encoding="utf-8"), re.MULTILINE)
    return {plain(item) for item in re.findall(r"^    - ([\w-]+(?: \S+)?)$", body, re.MULTILINE)}


def test_one_version():
    assert field(CITATION, "version") == fastml.__version__
    assert re.findall(r'^  version: "(.*)"$', RECIPE.read_text(encoding="utf-8"), re.MULTILINE) == [fastml.__version__]


def test_one_licence():
    assert PROJECT["license"] == field(CITATION, "license") == field(RECIPE, "license")
    assert "BSD 3-Clause License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_one_name_and_one_summary():
    text = RECIPE.read_text(encoding="utf-8")
    assert PROJECT["name"] == "fastml-kernels" and "\n  name: fastml-kernels\n" in text
    assert field(RECIPE, "summary") == PROJECT["description"]
    (name,) = PROJECT["scripts"]
    assert f"\n      - {name} = {PROJECT['scripts'][name]}\n" in text


def test_the_recipe_needs_what_the_project_needs():
    python = {("python", "")}
    assert listed("run") == {plain(need) for need in PROJECT["dependencies"]} | python
    assert listed("host") == {plain(need) for need in PYPROJECT["build-system"]["requires"]} | python | {("pip", "")}
    extras = PROJECT["optional-dependencies"]
    assert listed("run_constraints") == {plain(need) for need in extras["plot"] + extras["sklearn"]}


def test_one_oldest_python():
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f'match(python, "<{oldest}")' in RECIPE.read_text(encoding="utf-8")
    pythons = re.findall(r":: Python :: (3\.\d+)", "\n".join(CLASSIFIERS))
    assert pythons[0] == oldest and len(set(pythons)) == len(pythons)
    # None is claimed for which no wheel is built.
    built = set(re.findall(r"cp3(\d+)-", " ".join(PYPROJECT["tool"]["cibuildwheel"]["build"])))
    assert {version.removeprefix("3.") for version in pythons} <= built


def test_no_more_is_claimed_than_there_is():
    typed = (ROOT / "fastml" / "py.typed").exists()
    assert ("Typing :: Typed" in CLASSIFIERS) == typed
    # The licence is an expression (PEP 639), and nobody and no address is made up.
    assert not [name for name in CLASSIFIERS if name.startswith("License ::")]
    assert PROJECT["authors"] == [{"name": "fastml developers"}] and "urls" not in PROJECT


def test_the_classifiers_exist():
    known = pytest.importorskip("trove_classifiers").classifiers
    assert not [name for name in CLASSIFIERS if name not in known]


def test_the_citation_is_valid():
    citation = pytest.importorskip("cffconvert.cli.create_citation").create_citation
    citation(str(CITATION), None).validate()


@pytest.mark.parametrize("platform", ["linux-64", "linux-aarch64"])
def test_the_recipe_is_understood(platform):
    rattler = pytest.importorskip("rattler_build")
    recipe = rattler.Stage0Recipe.from_yaml(RECIPE.read_text(encoding="utf-8"))
    variants = rattler.VariantConfig.from_yaml(
        'python: ["3.12.*"]\nc_compiler: [gcc]\nc_compiler_version: ["14"]\nc_stdlib: [sysroot]\n'
    )
    config = rattler.PlatformConfig(target_platform=platform, build_platform="linux-64", host_platform=platform)
    (rendered,) = recipe.render(variants, rattler.RenderConfig(platform=config))
    package = rendered.recipe.to_dict()["package"]
    assert package == {"name": "fastml-kernels", "version": fastml.__version__}


def test_no_module_runs_what_a_file_holds():
    """SECURITY.md: no pickle, no network, no text that is run."""
    for path in (ROOT / "fastml").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", ())] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            forbidden = {"pickle", "marshal", "shelve", "joblib", "socket", "urllib", "http", "ftplib", "requests"}
            assert not forbidden & {name.split(".")[0] for name in names}, path
            called = node.func if isinstance(node, ast.Call) else None
            assert not (isinstance(called, ast.Name) and called.id in ("eval", "exec")), path
            if isinstance(called, ast.Attribute) and ast.unparse(called) == "np.load":
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                assert options.get("allow_pickle") == "False", f"{path}:{node.lineno}"


# ---- `fastml info` tells the distribution, and the other one of that name ----


@pytest.mark.parametrize(
    ("installed", "text"),
    [
        ({"fastml-kernels": "0.2"}, "fastml-kernels 0.2"),
        ({}, "none: a checkout"),
        ({"fastml-kernels": "0.2", "fastml": "1.0"}, "fastml-kernels 0.2; fastML 1.0, another project, is here too"),
    ],
)
def test_the_distribution(monkeypatch, installed, text):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    shown = _info.config()["distribution"]
    assert shown == text if len(installed) < 2 else shown.startswith(text)
