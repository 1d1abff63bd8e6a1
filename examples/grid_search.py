"""fastml's classifier inside scikit-learn: a pipeline, and a grid search with cross-validation.

A program that uses scikit-learn's MLPClassifier becomes this one by a change of one import.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fastml import MLPClassifier  # was: from sklearn.neural_network import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)

pipeline = Pipeline(
    [
        ("scale", StandardScaler()),
        ("mlp", MLPClassifier(learning_rate_init=0.01, random_state=0)),
    ]
)
grid = {
    "mlp__hidden_layer_sizes": [(32,), (64, 32)],
    "mlp__alpha": [0.0001, 1.0],
}
search = GridSearchCV(pipeline, grid, cv=3)
search.fit(X_train, y_train)

results = search.cv_results_
for parameters, score in zip(results["params"], results["mean_test_score"], strict=True):
    print(f"{score:.3f}  {parameters}")
print(f"best: {search.best_params_}")
print(f"accuracy on {len(y_test)} held-out images: {search.score(X_test, y_test):.3f}")
