"""The peers on a table, each as its users run it: fitted, and how it predicts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tabular_data import Part, Task, normal_log_loss

COVERAGE = 0.9
MOST_TREES, PATIENCE = 1000, 50
OPTIONS = {"hidden_layer_sizes": (256, 256), "dropout": 0.2, "solver": "adamw", "early_stopping": True}


class Fitted(NamedTuple):
    """A fitted peer: how it predicts, what is stored of it, and how sure it is of a test part."""

    predict: Callable[[pd.DataFrame], Any]
    fitted: Any
    sure: Callable[[Part], dict[str, float]] | None = None


def predicting(model: Any, task: Task, change: Callable[[pd.DataFrame], Any] = lambda X: X) -> Fitted:
    """A model that predicts numbers, or probabilities."""
    method = model.predict if task.is_regression else model.predict_proba
    return Fitted(lambda X: method(change(X)), model)


def as_words(task: Task) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A function that makes strings of the categories, missing ones too."""

    def change(X: pd.DataFrame) -> pd.DataFrame:
        columns = {name: X[name].astype(object) for name in task.categories}
        words = {name: one.where(one.notna(), "missing").astype(str) for name, one in columns.items()}
        return X.assign(**words)

    return change


def of_sets(sets: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """How often sets of classes contain the class, and how large they are."""
    inside = sets[np.arange(len(y)), y]
    return {"coverage": float(inside.mean()), "width": float(sets.sum(axis=1).mean())}


def of_intervals(low: np.ndarray, high: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """How often intervals contain the value, and how wide they are, over the deviation of y."""
    inside = (low <= y) & (y <= high)
    return {"coverage": float(inside.mean()), "width": float(np.mean(high - low) / y.std())}


# ---- ours ------------------------------------------------------------------------------------------


def ours(task: Task, threads: int, **options: Any) -> Fitted:
    """An estimator of tables, with its defaults."""
    import portable_nn as pnn  # noqa: PLC0415

    kind = pnn.TabularRegressor if task.is_regression else pnn.TabularClassifier
    model = kind(random_state=task.split, **options)
    model.fit(*task.train, X_val=task.validation.X, y_val=task.validation.y)

    def sure(part: Part) -> dict[str, float]:
        y = part.y
        if not task.is_regression:
            sets = model.predict_set(part.X, COVERAGE)
            return of_sets(sets, y)
        low, high = model.predict_interval(part.X, COVERAGE)
        mean, spread = model.predict(part.X, return_std=True)
        nll = normal_log_loss(y, mean, np.hypot(spread, model.noise_)) - np.log(y.std())
        return of_intervals(low, high, y) | {"nll": float(nll)}

    return predicting(model, task)._replace(sure=sure)


def ours_fast(task: Task, threads: int) -> Fitted:
    """The same by its quick preset."""
    return ours(task, threads, preset="fast")


def ours_mapie(task: Task, threads: int) -> Fitted:
    """The same networks, whose sets and intervals are MAPIE's, from the same rows."""
    from mapie.classification import SplitConformalClassifier  # noqa: PLC0415
    from mapie.regression import SplitConformalRegressor  # noqa: PLC0415

    fitted = ours(task, threads)
    kind = SplitConformalRegressor if task.is_regression else SplitConformalClassifier
    around = kind(fitted.fitted, confidence_level=COVERAGE, prefit=True)
    around.conformalize(*task.validation)

    def sure(part: Part) -> dict[str, float]:
        y = part.y
        if task.is_regression:
            _, found = around.predict_interval(part.X)
            low, high = found[:, 0, 0], found[:, 1, 0]
            return of_intervals(low, high, y)
        _, found = around.predict_set(part.X)
        return of_sets(found[:, :, 0], y)

    return fitted._replace(sure=sure)


# ---- scikit-learn, and one MLP of ours behind the same preprocessing ---------------------------------


def behind_preprocessing(task: Task, model: Any) -> Fitted:
    """A model behind imputation, standardization and one-hot encoding; targets are standardized."""
    from sklearn.compose import (  # noqa: PLC0415
        TransformedTargetRegressor,
        make_column_transformer,
    )
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    change, numbers = as_words(task), task.train.X.columns.difference(task.categories, sort=False)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), list(numbers)), (encoder, task.categories)
    )
    if task.is_regression:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    pipeline = make_pipeline(steps, model).fit(change(task.train.X), task.train.y)
    return predicting(pipeline, task, change)


def sklearn_mlp(task: Task, threads: int) -> Fitted:
    """scikit-learn's MLP with its defaults."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: PLC0415

    kind = MLPRegressor if task.is_regression else MLPClassifier
    return behind_preprocessing(task, kind(random_state=task.split))


def options(task: Task, threads: int) -> Fitted:
    """One MLP of ours with the options that README shows."""
    import portable_nn as pnn  # noqa: PLC0415

    kind = pnn.MLPRegressor if task.is_regression else pnn.MLPClassifier
    return behind_preprocessing(task, kind(random_state=task.split, **OPTIONS))


def hist_gradient_boosting(task: Task, threads: int) -> Fitted:
    """scikit-learn's boosted trees, stopped by the validation part."""
    from sklearn.ensemble import (  # noqa: PLC0415
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    kind = HistGradientBoostingRegressor if task.is_regression else HistGradientBoostingClassifier
    model = kind(max_iter=MOST_TREES, early_stopping=True, n_iter_no_change=PATIENCE, random_state=0)
    model.fit(*task.train, X_val=task.validation.X, y_val=task.validation.y)
    return predicting(model, task)


# ---- boosted trees ---------------------------------------------------------------------------------


def lightgbm(task: Task, threads: int) -> Fitted:
    """LightGBM, stopped by the validation part."""
    import lightgbm as package  # noqa: PLC0415

    def change(X: pd.DataFrame) -> pd.DataFrame:  # names without the characters that it refuses
        return X.set_axis([f"x{j}" for j in range(X.shape[1])], axis=1)

    kind = package.LGBMRegressor if task.is_regression else package.LGBMClassifier
    model = kind(n_estimators=MOST_TREES, learning_rate=0.05, n_jobs=threads, verbose=-1, random_state=0)
    stop = package.early_stopping(PATIENCE, verbose=False)
    validation = (change(task.validation.X), task.validation.y)
    model.fit(change(task.train.X), task.train.y, eval_set=[validation], callbacks=[stop])
    return predicting(model, task, change)


def xgboost(task: Task, threads: int) -> Fitted:
    """XGBoost, stopped by the validation part."""
    import xgboost as package  # noqa: PLC0415

    kind = package.XGBRegressor if task.is_regression else package.XGBClassifier
    model = kind(
        n_estimators=MOST_TREES,
        learning_rate=0.05,
        early_stopping_rounds=PATIENCE,
        enable_categorical=True,
        n_jobs=threads,
        random_state=0,
    )
    model.fit(*task.train, eval_set=[task.validation], verbose=False)
    return predicting(model, task)


def catboost(task: Task, threads: int) -> Fitted:
    """CatBoost, stopped by the validation part; its learning rate is its own choice."""
    import catboost as package  # noqa: PLC0415

    change = as_words(task)
    kind = package.CatBoostRegressor if task.is_regression else package.CatBoostClassifier
    model = kind(
        iterations=MOST_TREES,
        early_stopping_rounds=PATIENCE,
        thread_count=threads,
        random_seed=task.split,
        cat_features=task.categories,
        verbose=False,
        allow_writing_files=False,
    )
    model.fit(
        change(task.train.X), task.train.y, eval_set=(change(task.validation.X), task.validation.y)
    )
    return predicting(model, task, change)


# ---- networks of pytabkit, on torch ----------------------------------------------------------------


def of_pytabkit(task: Task, threads: int, names: tuple[str, str]) -> Fitted:
    """An estimator of pytabkit, which takes no missing values: numbers are imputed before."""
    import pytabkit  # noqa: PLC0415
    import torch  # noqa: PLC0415

    torch.set_num_threads(threads)
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    medians, categories = task.train.X.median(numeric_only=True), task.categories

    def change(X: pd.DataFrame) -> pd.DataFrame:
        X = X.fillna(medians)
        for name in categories:
            levels = [*X[name].cat.categories, "missing"]
            words = X[name].astype(object).where(X[name].notna(), "missing")
            X[name] = pd.Categorical(words, categories=levels)
        return X

    kind = getattr(pytabkit, names[0 if task.is_regression else 1])
    model = kind(device="cpu", random_state=task.split, n_threads=threads, verbosity=0)
    train, validation = change(task.train.X), change(task.validation.X)
    model.fit(train, task.train.y, validation, task.validation.y, cat_col_names=categories)
    return predicting(model, task, change)


def realmlp(task: Task, threads: int) -> Fitted:
    """RealMLP-TD."""
    return of_pytabkit(task, threads, ("RealMLP_TD_Regressor", "RealMLP_TD_Classifier"))


def tabm(task: Task, threads: int) -> Fitted:
    """TabM with its defaults in pytabkit."""
    return of_pytabkit(task, threads, ("TabM_D_Regressor", "TabM_D_Classifier"))


FITS: dict[str, Callable[[Task, int], Fitted]] = {
    "ours": ours,
    "ours-fast": ours_fast,
    "ours-mapie": ours_mapie,
    "options": options,
    "sklearn-mlp": sklearn_mlp,
    "hist-gradient-boosting": hist_gradient_boosting,
    "lightgbm": lightgbm,
    "xgboost": xgboost,
    "catboost": catboost,
    "realmlp": realmlp,
    "tabm": tabm,
}
