"""The editor of points and boxes by finger, in the real page."""

import pytest
from trilemma.tests.comfyui import page as pages
from trilemma.tests.comfyui import test_points as points

pytestmark = pytest.mark.host

# A node that is touched comes to the front, and to the end of the list.
VIEW = """() => [app.canvas.ds.scale, ...app.canvas.ds.offset,
    ...[...app.graph._nodes].sort((one, other) => one.id - other.id).flatMap((node) => [...node.pos])]"""
PLACE = """([[id, key], selector]) => {
    const element = app.graph.getNodeById(id).widgets.find((widget) => widget.name === key).element;
    const box = element.querySelector(selector).getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
}"""


FOCUS = """([[id, key], selector]) => app.graph.getNodeById(id).widgets.find((widget) => widget.name === key)
    .element.querySelector(selector).focus()"""


@pytest.fixture(scope="module", params=[True, False], ids=["vue nodes", "canvas nodes"])
def page(live, request):
    pages.nodes_of(live, request.param)
    points.draw(live.base / "input")
    with pages.opened(live, request.param, has_touch=True) as opened:
        yield opened
        assert not opened.complaints


@pytest.fixture(scope="module")
def editor(page):
    points.load(page)
    return page


class Fingers:
    """What Playwright's touchscreen, which only taps, does not do."""

    def __init__(self, page):
        self.session = page.context.new_cdp_session(page)

    def send(self, kind, *places):
        touches = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def drag(self, *ways, steps=5):
        """Each way is (start, end) of a finger."""
        self.send("touchStart", *(start for start, _ in ways))
        for step in range(1, steps + 1):
            at = step / steps
            self.send("touchMove", *(tuple(a + (b - a) * at for a, b in zip(*way, strict=True)) for way in ways))
        self.send("touchEnd")


def test_a_tap_a_long_press_and_a_drag_draw(editor):
    fingers = Fingers(editor)
    before = editor.evaluate(VIEW)
    editor.touchscreen.tap(*points.at(editor, 130, 100))
    fingers.send("touchStart", points.at(editor, 40, 40))
    editor.wait_for_timeout(800)
    fingers.send("touchEnd")
    fingers.drag((points.at(editor, 70, 60), points.at(editor, 190, 160)))
    drawn = [[{"x": 130, "y": 100}], [{"x": 40, "y": 40}], [{"x": 70, "y": 60, "width": 120, "height": 100}]]
    assert points.near(editor.evaluate(points.VALUES), drawn)

    fingers.drag((points.at(editor, 130, 100), points.at(editor, 150, 90)))
    drawn[0] = [{"x": 150, "y": 90}]
    assert points.near(editor.evaluate(points.VALUES), drawn)
    assert editor.evaluate(VIEW) == before


def test_two_fingers_zoom_and_move_the_picture_and_not_the_page(editor):
    fingers = Fingers(editor)
    before, drawn = editor.evaluate(VIEW), editor.evaluate(points.VALUES)
    x, y = points.at(editor, 160, 100)
    fingers.drag(((x - 20, y), (x - 80, y)), ((x + 20, y), (x + 80, y)))
    fingers.drag(((x - 20, y), (x + 20, y)), ((x + 20, y), (x + 60, y)))  # by 40 to the right
    editor.wait_for_timeout(600)
    assert editor.evaluate(VIEW) == before
    assert editor.evaluate(points.VALUES) == drawn

    _, _, width, height = editor.evaluate(points.CANVAS)
    scale = 4 * min(width / points.WIDTH, height / points.HEIGHT)
    editor.touchscreen.tap(x + 40 + 10 * scale, y)
    (added,) = [point for point in editor.evaluate(points.VALUES)[0] if point not in drawn[0]]
    assert points.near(added, {"x": 170, "y": 100})


def test_the_minus_tool_makes_taps_negative(editor):
    for name in ("clear", "fit", "negative"):
        editor.touchscreen.tap(*editor.evaluate(PLACE, [["4", "points_and_boxes"], f"[data-action={name}]"]))
    editor.touchscreen.tap(*points.at(editor, 50, 150))
    assert points.near(editor.evaluate(points.VALUES), [[], [{"x": 50, "y": 150}], []])


def test_the_editor_is_folded_by_keyboard(editor):
    fold = [["4", "points_and_boxes"], "[data-action=fold]"]
    is_open = f"() => {points.SEGMENT}.properties.drawing_open"
    editor.evaluate(FOCUS, fold)
    editor.keyboard.press("Enter")
    assert editor.evaluate(is_open) is False
    editor.keyboard.press("Enter")
    assert editor.evaluate(is_open) is True
