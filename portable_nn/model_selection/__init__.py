"""scikit-learn's searches and cross-validation, which train networks of one structure in one pass."""
