"""The pages in a browser: each fits its window, in both colour schemes."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("host_only")
SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"
NAMED = "reference/generated/portable_nn"
PAGES = (
    *("index", "genindex", "benchmarks", "coming_from/pytorch", "guides/reproducibility"),
    *("auto_course/plot_1_logistic_regression", "auto_course/plot_3_activations"),
    *("auto_gallery/index", "auto_inside/plot_1_compiler", "playground/index"),
    *("reference/equations", "reference/estimators", "reference/model_selection"),
    *(f"{NAMED}.MLPEnsembleRegressor", f"{NAMED}.model_selection.HalvingRandomSearchCV"),
    *(f"{NAMED}.model_selection.permutation_test_score", f"{NAMED}.ReliabilityDisplay"),
    *(f"{NAMED}.interchange.from_sklearn", f"{NAMED}.interchange.register_with_skl2onnx"),
)

# what makes the article wider than its window; links to the next page, and formulas, not seen whole
TOO_WIDE = """(width) => {
    const article = document.querySelector(".bd-article-container");
    const edge = article.getBoundingClientRect().right + 1;
    const scrolls = (part) => part !== article && (getComputedStyle(part).overflowX !== "visible"
        || scrolls(part.parentElement));
    const found = [...article.querySelectorAll("*")].filter((part) =>
        part.getBoundingClientRect().right > edge && !scrolls(part.parentElement));
    const whole = width > 1000 ? ".prev-next-area a, .math-block"
        : ".prev-next-area a, :has(> table.autosummary)";
    found.push(...[...article.querySelectorAll(whole)].filter((part) =>
        part.scrollWidth > part.clientWidth + 1));
    return found.map((part) => `${part.tagName} ${part.className}: ${part.textContent.slice(0, 60)}`);
}"""

# letters that stand out from what is behind them by less than WCAG 2.2 asks for (1.4.3: 4.5 to 1)
TOO_PALE = """() => {
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const linear = (value) => (value / 255 <= 0.04045
        ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    const luminance = ([red, green, blue]) =>
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    const behind = (part) => {
        if (part === null) return [255, 255, 255];
        const color = numbers(getComputedStyle(part).backgroundColor);
        return color.length < 4 || color[3] === 1 ? color : behind(part.parentElement);
    };
    const pale = new Set();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const part = texts.currentNode.parentElement;
        const { width, height } = part.getBoundingClientRect();
        if (!texts.currentNode.data.trim() || width * height === 0) continue;
        const both = [numbers(getComputedStyle(part).color), behind(part)].map(luminance);
        const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
        if (ratio < 4.5) pale.add(`${part.tagName} ${part.className}: ${part.textContent.slice(0, 60)}`);
    }
    return [...pale];
}"""


@pytest.fixture(scope="module")
def server(serve):
    """The address of a server of the whole site."""
    if not SITE.exists():
        pytest.skip("the site has not been built: nox -s docs")
    return serve(SITE)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_pages_fit_their_window_and_can_be_read(browser, server, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 850}, color_scheme=scheme)
    found = {}
    for name in PAGES:
        page.goto(f"{server}/{name}.html")
        found[name] = [*page.evaluate(TOO_WIDE, width), *page.evaluate(TOO_PALE)]
    page.close()
    assert not any(found.values()), {name: parts for name, parts in found.items() if parts}


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("resume+training", "guides/"),
        ("dropout", "auto_course/"),
        ("early+stopping", "reference/generated/portable_nn.EarlyStopping.html"),
    ],
)
def test_a_search_finds_what_explains_before_what_records(browser, server, asked, first):
    page = browser.new_page()
    page.goto(f"{server}/search.html?q={asked}")
    page.wait_for_function("document.querySelectorAll('ul.search > li').length > 5")
    page.wait_for_timeout(500)
    script = "[...document.querySelectorAll('ul.search > li > a')].map((a) => a.getAttribute('href'))"
    found = page.evaluate(script)
    page.close()
    assert found[0].startswith(first), found
    records = [place for place, link in enumerate(found) if link.startswith(("project/", "benchmarks"))]
    assert min(records, default=len(found)) >= 4, found
