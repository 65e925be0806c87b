"""A pytest plugin: scikit-learn's own tests of its searches and cross-validation, run on ours."""

from sklearn import model_selection

from portable_nn import model_selection as ours

for name in ours.__all__:
    if hasattr(model_selection, name):
        setattr(model_selection, name, getattr(ours, name))
