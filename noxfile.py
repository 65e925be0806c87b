"""What is run how: ``nox -l`` lists the sessions; ``nox`` alone runs the tests on every backend."""

from __future__ import annotations

import ctypes
import os

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
CONSTRAINTS = ("-c", "constraints.txt")
NO_DEVICE = "no CUDA device: not run"

# A process for each core, with one thread each. Each process takes neighbouring tests, so that those of
# one file share what they compile, and takes over tests of another process when it has none left.
PARALLEL = ("-n", str(max(2, os.cpu_count() or 2)), "--dist", "worksteal")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}

EXAMPLES = (
    *("digits", "shallow_to_deep", "own_backend", "drop_in", "any_array", "ship_it"),
    *("normalization", "categories", "own_layer", "search", "uncertainty", "model_per_group"),
    *("tabular", "many_processes", "cluster_search"),
)

SITE = "docs/_build/html"

NEIGHBOURS = (
    "onnx",
    "onnxruntime",
    "onnxscript",
    "skl2onnx",
    "skops.io",
    "safetensors",
    "keras",
    "torch",
)

SEARCHES = ("test_search", "test_successive_halving", "test_validation")  # of scikit-learn's own tests

# what they look for is not there: the caller's name in the stack of calls, where a fit has a thread of
# its own; the attributes of a subclass of the private BaseSearchCV, which lacks `n_passes_`
PRIVATE = (
    *("test_custom_run_search", "test_multi_metric_search_forwards_metadata"),
    *("test_validation_functions_routing", "incremental_learning_routing"),
)

# what a session is called: (the backend it tests, the extra it installs)
BACKENDS = {
    "numpy": ("numpy", ""),
    "strict": ("array_api_strict", "strict"),
    "torch": ("torch", "torch"),
    "jax": ("jax", "jax"),
    "cupy": ("cupy", "cuda12" if os.environ.get("PORTABLE_NN_CUDA") == "12" else "cuda13"),
}


def has_cuda_device() -> bool:
    """Whether the CUDA driver is here and finds a device; asks the driver itself, no library."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return (
        driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    )


nox.options.sessions = [f"tests({name})" for name in BACKENDS if name != "cupy" or has_cuda_device()]


def package(*extras: str) -> str:
    """The project with extras, as pip takes it."""
    return f".[{','.join(filter(None, extras))}]"


def group(name: str) -> list[str]:
    """The requirements of a dependency group of pyproject.toml."""
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
@nox.parametrize("library", list(BACKENDS), ids=list(BACKENDS))
def tests(session: nox.Session, library: str) -> None:
    """The tests on one backend; fails where that backend is missing."""
    backend, extra = BACKENDS[library]
    on_host = library == "numpy"  # the tests on the host alone are run there
    session.install(
        *CONSTRAINTS, "-e", package(extra, "sklearn", *(["fast", "strict"] if on_host else []))
    )
    more = (*group("frames"), *group("stores"), *group("clusters")) if on_host else ()
    session.install(*CONSTRAINTS, *group("test"), *group("processes"), *more)
    if library == "cupy" and not has_cuda_device():
        session.install(*group("cuda"))
        session.run("pytest", "--collect-only", "-qq", "--backend", backend)
        session.run("pytest", "tests/backends", "tests/compiler", "-k", "cupy or nvidia")
        session.run("pytest", "tests/compiler/test_gpu.py", "-q", "--no-header")
        session.warn(NO_DEVICE)
        session.skip(NO_DEVICE)
    # Nearly all of JAX's time is compiling, and most tests are about what is computed, not about how
    # well it is optimized. How closely it agrees as users run it is measured where arguments are given:
    # nox -s "tests(jax)" -- tests/test_parity.py
    is_quick = library == "jax" and not session.posargs
    quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if is_quick else {}
    chosen = session.posargs or ["--ignore=tests/interchange"]  # which has a session of its own
    session.run("pytest", *PARALLEL, "--backend", backend, *chosen, env=ONE_THREAD | quick)


@nox.session
def interchange(session: nox.Session) -> None:
    """Models of and for other programs: ONNX, torch, Keras, skops, C, JavaScript."""
    session.install(*CONSTRAINTS, "-e", package("sklearn", "torch", "strict"))
    session.install(*CONSTRAINTS, *group("test"), *group("interchange"))
    session.run("python", "-c", f"import {', '.join(NEIGHBOURS)}", env={"KERAS_BACKEND": "torch"})
    chosen = session.posargs or ["tests/interchange", "tests/storage", "tests/files"]
    backends = [f"--backend={name}" for name in ("numpy", "torch", "array_api_strict")]
    session.run("pytest", *PARALLEL, *backends, *chosen, env=ONE_THREAD)


@nox.session
def distributed(session: nox.Session) -> None:
    """Several processes: MPI, torch.distributed, JAX's meshes, in groups of several sizes; clusters."""
    session.install(*CONSTRAINTS, "-e", package("sklearn", "strict", "torch", "jax"))
    session.install(*CONSTRAINTS, *group("test"), *group("processes"), *group("stores"))
    session.install(*CONSTRAINTS, *group("clusters"), *group("more_clusters"))
    backends = [f"--backend={name}" for name in ("numpy", "torch", "jax", "array_api_strict")]
    chosen = session.posargs or ["tests/distributed", "tests/model_selection/test_clusters.py"]
    session.run("pytest", *PARALLEL, *backends, *chosen, env=ONE_THREAD)


@nox.session
def docs(session: nox.Session) -> None:
    """The site, into docs/_build/html: warnings are errors; its code, links and spelling are tests."""
    session.install(*CONSTRAINTS, "-e", package("sklearn", "fast", "torch", "jax", "strict"))
    session.install(
        *CONSTRAINTS, *group("test"), *group("docs"), *group("processes"), *group("clusters")
    )
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", SITE, env=ONE_THREAD)
    session.run("pytest", *PARALLEL, "--backend", "numpy", "tests/docs", env=ONE_THREAD)


@nox.session
def minimums(session: nox.Session) -> None:
    """The tests on NumPy with the lowest supported versions of what is required."""
    extras = PROJECT["project"]["optional-dependencies"]
    required = PROJECT["project"]["dependencies"] + extras["strict"] + extras["sklearn"]
    required += extras["fast"]
    lowest = [requirement.replace(">=", "==") for requirement in required]
    session.install("-e", ".", *lowest, *group("test"))
    kernels = "--ignore-glob=tests/compiler/test_cu*.py"  # what is compiled there is the same text
    others = ("--ignore=tests/interchange", "--ignore=tests/docs")  # which have sessions of their own
    chosen = ("--backend", "numpy", kernels, *others, *session.posargs)
    session.run("pytest", *PARALLEL, *chosen, env=ONE_THREAD)


@nox.session
def fuzz(session: nox.Session) -> None:
    """5,000 random trainings, compiled for NumPy, against eager ones; or as many: nox -s fuzz -- 500."""
    session.install(*CONSTRAINTS, "-e", package("strict", "fast"), *group("test"))
    trainings = {"PORTABLE_NN_FUZZ": session.posargs[0] if session.posargs else "5000"}
    session.run("pytest", *PARALLEL, "-q", "tests/compiler/test_fuzz.py", env=ONE_THREAD | trainings)


@nox.session
def abuse(session: nox.Session) -> None:
    """Thousands of files damaged; trainings and processes killed, forked, interrupted; full disks."""
    session.install(*CONSTRAINTS, "-e", package("fast", "sklearn"), *group("test"))
    many = {"PORTABLE_NN_ABUSE": "1"}
    session.run("pytest", *PARALLEL, "-q", "tests/abuse", *session.posargs, env=ONE_THREAD | many)


@nox.session
def sklearn_suite(session: nox.Session) -> None:
    """scikit-learn's checks of estimators, and its own tests of MLPs and searches, on ours."""
    extras = package("sklearn", "strict", "torch")
    session.install(*CONSTRAINTS, "-e", extras, *group("test"), *group("frames"))
    arrays = {"SCIPY_ARRAY_API": "1"}
    checks = "tests/estimators/test_estimator_checks.py"
    chosen = ("-k", "array_api")  # the others run with the tests on NumPy
    session.run("pytest", *PARALLEL, checks, *chosen, "--no-header", "-q", env=ONE_THREAD | arrays)
    folder = "tests/sklearn_suite"
    session.run(
        *("pytest", *PARALLEL, "-c", f"{folder}/pytest.ini", "-p", "swap_estimators", "-q"),
        *("--pyargs", "sklearn.neural_network.tests.test_mlp"),
        *("-k", "not test_gradient"),  # it calls the private _loss_grad_lbfgs
        *session.posargs,
        env=ONE_THREAD | {"PYTHONPATH": folder},
    )
    plugins = ("-p", "swap_estimators", "-p", "swap_searches")
    session.run(
        *("pytest", *PARALLEL, "-c", f"{folder}/pytest.ini", *plugins, "-q"),
        *("--pyargs", *(f"sklearn.model_selection.tests.{name}" for name in SEARCHES)),
        *("-k", f"not ({' or '.join(PRIVATE)})", *session.posargs),
        env=ONE_THREAD | {"PYTHONPATH": folder},
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: the linter and the formatter's opinion."""
    session.install(*CONSTRAINTS, *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, on the package."""
    session.install(*CONSTRAINTS, "-e", ".", *group("types"))
    session.run("mypy")


@nox.session
def demo(session: nox.Session) -> None:
    """The handwritten digits on NumPy, or as asked: nox -s demo -- --backend torch."""
    asked = " ".join(session.posargs).replace("=", " ").split()
    wanted = asked[asked.index("--backend") + 1] if "--backend" in asked[:-1] else "numpy"
    extra = dict(BACKENDS.values()).get(wanted, "")
    session.install(*CONSTRAINTS, "-e", package("sklearn", "progress", "plot", extra))
    session.run("python", "examples/digits.py", *asked)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, peers included: nox -s bench -- --out FILE.jsonl --chart FILE.png --data PATH."""
    session.install(*CONSTRAINTS, "-e", package("sklearn", "torch", "jax", "fast", "plot"))
    session.install(*CONSTRAINTS, *group("bench"))
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session(tags=["gpu"])
def gpu(session: nox.Session) -> None:
    """The tests on a GPU: CuPy in each of its ways; with --no-venv torch and JAX too, as installed."""
    if session.venv_backend != "none":
        extras = package("sklearn", BACKENDS["cupy"][1])
        session.install(*CONSTRAINTS, "-e", extras, *group("test"))
    if not has_cuda_device():
        session.run("pytest", "--collect-only", "-qq", "--gpu")
        session.skip(NO_DEVICE)
    session.run("pytest", "--backend", "cupy", *session.posargs)
    for way in ("fused", "eager"):  # beside "replayed", the default
        chosen = ["tests/training", "tests/test_parity.py", "tests/estimators/test_arrays.py"]
        here = {"PORTABLE_NN_CUDA_STEPS": way}
        session.run("pytest", "--backend", "cupy", *chosen, *session.posargs, env=here)
    for library in ("torch", "jax"):
        there = f"import importlib.util as u; print(u.find_spec('{library}') is not None)"
        if "True" in str(session.run("python", "-c", there, silent=True)):
            session.run("pytest", "--gpu", "--backend", library, *session.posargs)
            for way in ("fused", "eager") if library == "torch" else ():
                here = {"PORTABLE_NN_CUDA_STEPS": way}
                session.run("pytest", "--gpu", "--backend", library, *chosen, *session.posargs, env=here)


@nox.session
def gpu_bench(session: nox.Session) -> None:
    """Training on a GPU: nox -s gpu_bench -- --out FILE.jsonl; --no-venv: with what is installed."""
    if not has_cuda_device() and "cpu" not in session.posargs:
        session.skip(NO_DEVICE)
    here = {}
    if session.venv_backend == "none":  # what is there is measured, with the project from this folder
        here = {"PYTHONPATH": os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH"))))}
    else:
        session.install(*CONSTRAINTS, "-e", package("torch", "jax", BACKENDS["cupy"][1]))
        session.install(*CONSTRAINTS, *group("bench"))
    session.run("python", "benchmarks/gpu.py", *session.posargs, env=here)


@nox.session
def build(session: nox.Session) -> None:
    """The sdist and the wheel; installs the wheel alone and imports it."""
    session.install("build")
    out = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", out, silent=True)
    (wheel,) = (os.path.join(out, name) for name in os.listdir(out) if name.endswith(".whl"))
    session.install("--force-reinstall", wheel)
    session.chdir(out)
    session.run("python", "-m", "portable_nn")


@nox.session
def examples(session: nox.Session) -> None:
    """Every example, on NumPy, and on array_api_strict where it is about many."""
    session.install(*CONSTRAINTS, "-e", package("sklearn", "progress", "plot", "strict"))
    session.install(*CONSTRAINTS, *group("interchange"), *group("clusters"))
    for name in EXAMPLES:
        session.run("python", "-W", "error", f"examples/{name}.py")
