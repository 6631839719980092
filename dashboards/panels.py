"""Words dashboards are written in: panels, rows, variables, and what makes Grafana's JSON of them."""

METRICS = {"type": "prometheus", "uid": "${datasource}"}
LOGS = {"type": "loki", "uid": "${logs}"}
WIDTH = 24

GREEN, YELLOW, RED = "green", "#EAB839", "red"


def thresholds(*steps):
    """Colours: the first holds from the lowest value on, the others as `(from, colour)`."""
    first = {"color": steps[0] if steps else GREEN, "value": None}
    return {"mode": "absolute", "steps": [first] + [{"color": c, "value": v} for v, c in steps[1:]]}


def rising(yellow, red):
    """The more, the worse."""
    return thresholds(GREEN, (yellow, YELLOW), (red, RED))


def falling(red, yellow):
    """The less, the worse."""
    return thresholds(RED, (red, YELLOW), (yellow, GREEN))


def queries(exprs, source, instant=False, form=None):
    targets = []
    for i, (expr, legend) in enumerate(exprs):
        target = {"refId": chr(ord("A") + i), "datasource": source, "expr": expr, "legendFormat": legend}
        if source is LOGS:
            target["queryType"] = "instant" if instant else "range"
        else:
            target |= {"instant": instant, "range": not instant, "editorMode": "code"}
        if form:
            target["format"] = form
        targets.append(target)
    return targets


def panel(kind, title, exprs, *, w, h, unit, about, source=METRICS, instant=False, form=None, colours=None, **more):
    defaults = {"unit": unit, "custom": more.pop("custom", {})}
    if colours:
        defaults["thresholds"] = colours
    for key in ("min", "max", "decimals", "mappings", "noValue"):
        if key in more:
            defaults[key] = more.pop(key)
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": source,
        "targets": queries(exprs, source, instant, form),
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": more.pop("options", {}),
        "size": (w, h),
        **more,
    }


def graph(title, *exprs, unit="short", w=12, h=8, about="", stack=False, colours=None, legend="list", **more):
    """Lines over time; `exprs` are `(expression, legend)`."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stack else 10, "showPoints": "auto", "spanNulls": False}
    if stack:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    calcs = ["mean", "lastNotNull"] if legend == "table" else []
    options = {
        "legend": {"displayMode": legend, "placement": "bottom", "calcs": calcs},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    more.setdefault("min", 0)
    return panel("timeseries", title, exprs, w=w, h=h, unit=unit, about=about, colours=colours, custom=custom, options=options, **more)


def stat(title, expr, unit="short", w=4, h=4, about="", colours=None, legend="", **more):
    """One number."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value" if colours else "none",
        "graphMode": more.pop("graph", "area"),
        "textMode": "auto",
    }
    return panel("stat", title, [(expr, legend)], w=w, h=h, unit=unit, about=about, colours=colours, options=options, **more)


def gauge(title, expr, unit="percentunit", w=4, h=6, about="", colours=None, legend=""):
    """A share of what there is."""
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    colours = colours or rising(0.8, 0.9)
    return panel("gauge", title, [(expr, legend)], w=w, h=h, unit=unit, about=about, colours=colours, options=options, min=0, max=1)


def bars(title, *exprs, unit="short", w=12, h=8, about="", colours=None):
    """The largest of many, side by side."""
    options = {
        "orientation": "horizontal",
        "displayMode": "gradient",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel("bargauge", title, exprs, w=w, h=h, unit=unit, about=about, colours=colours, options=options, instant=True, min=0)


def table(title, *columns, by, w=24, h=9, about=""):
    """Rows by labels; `columns` are `(name, expression, unit)`."""
    exprs = [(expr, name) for name, expr, _ in columns]
    letters = [chr(ord("A") + i) for i in range(len(columns))]
    overrides = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, _, unit in columns
    ]
    names = {f"Value #{letter}": name for letter, (name, _, _) in zip(letters, columns)}
    if len(columns) == 1:
        names["Value"] = columns[0][0]
    order = {label: i for i, label in enumerate(by)}
    transformations = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}},
    ]
    return panel(
        "table", title, exprs, w=w, h=h, unit="short", about=about, instant=True, form="table", overrides=overrides,
        options={"showHeader": True, "sortBy": [{"displayName": columns[0][0], "desc": True}]}, transformations=transformations,
    )


def heat(title, expr, unit="s", w=12, h=8, about=""):
    """How values spread, over time, from a histogram's buckets."""
    options = {"calculate": False, "yAxis": {"unit": unit}, "color": {"scheme": "Oranges", "mode": "scheme"}, "legend": {"show": True}}
    return panel("heatmap", title, [(expr, "{{le}}")], w=w, h=h, unit="short", about=about, form="heatmap", options=options)


def states(title, *exprs, w=24, h=8, about="", names=None):
    """What state things were in, over time; `names` are words for values, each with a colour."""
    words = {str(value): {"text": text, "color": colour, "index": i} for i, (value, text, colour) in enumerate(names or [(1, "up", GREEN), (0, "down", RED)])}
    options = {"showValue": "never", "mergeValues": True, "legend": {"displayMode": "list", "placement": "bottom"}}
    custom = {"fillOpacity": 80, "lineWidth": 0}
    return panel("state-timeline", title, exprs, w=w, h=h, unit="short", about=about, options=options, custom=custom, mappings=[{"type": "value", "options": words}])


def log_lines(title, expr, w=24, h=12, about=""):
    """Log lines."""
    options = {"showTime": True, "wrapLogMessage": True, "sortOrder": "Descending", "enableLogDetails": True}
    return panel("logs", title, [(expr, "")], w=w, h=h, unit="short", about=about, source=LOGS, options=options)


def log_graph(title, *exprs, unit="short", stack=True, **more):
    """Lines over time, from logs."""
    return graph(title, *exprs, unit=unit, stack=stack, source=LOGS, **more)


def text(markdown, w=24, h=3):
    """Words."""
    return {"type": "text", "title": "", "options": {"mode": "markdown", "content": markdown}, "size": (w, h)}


def row(title, *panels, repeat=None, collapsed=False):
    """Panels under a heading."""
    heading = {"type": "row", "title": title, "panels": list(panels), "collapsed": collapsed}
    return heading | ({"repeat": repeat} if repeat else {})


def choice(name, label, metric, of, *, multi=True, source=METRICS):
    """A variable: the values of a label of `metric`."""
    query = f"label_values({metric}, {of})"
    # Logs are not looked for by a label that may be anything or missing.
    everything = ".+" if source is LOGS else ".*"
    return {
        "name": name, "label": label, "type": "query", "datasource": source, "refresh": 2, "sort": 1,
        "query": {"query": query, "refId": "StandardVariableQuery"}, "definition": query,
        "multi": multi, "includeAll": multi, "allValue": everything if multi else None, "current": {"text": "All", "value": "$__all"} if multi else {},
    }


def source_choice(name, kind, label):
    return {"name": name, "label": label, "type": "datasource", "query": kind, "refresh": 1, "hide": 0, "current": {}, "multi": False, "includeAll": False}


class Layout:
    """Gives panels numbers and places, from left to right and top to bottom."""

    def __init__(self):
        self.x = self.y = self.tallest = self.number = 0

    def put(self, panel):
        w, h = panel["size"]
        if self.x + w > WIDTH:
            self.new_line()
        self.number += 1
        content = {key: value for key, value in panel.items() if key != "size"}
        placed = {"id": self.number, **content, "gridPos": {"x": self.x, "y": self.y, "w": w, "h": h}}
        self.x, self.tallest = self.x + w, max(self.tallest, h)
        return placed

    def put_row(self, row):
        self.new_line()
        heading = self.put({**row, "panels": [], "size": (WIDTH, 1)})
        self.new_line()
        inner = [self.put(panel) for panel in row["panels"]]
        self.new_line()
        if row["collapsed"]:
            return [{**heading, "panels": inner}]
        return [heading, *inner]

    def new_line(self):
        self.x, self.y, self.tallest = 0, self.y + self.tallest, 0


def dashboard(uid, title, about, *panels, tags=(), variables=(), logs=False, metrics=True, time="now-1h", refresh="30s"):
    """A dashboard. Its parts that are no rows stand one after another."""
    sources = [source_choice("datasource", "prometheus", "Metrics")] if metrics else []
    if logs:
        sources.append(source_choice("logs", "loki", "Logs"))
    layout, placed = Layout(), []
    for part in panels:
        placed += layout.put_row(part) if part["type"] == "row" else [layout.put(part)]
    return {
        "uid": f"bartizan-{uid}", "title": title, "description": about, "tags": ["bartizan", *tags],
        "schemaVersion": 41, "editable": True, "graphTooltip": 1, "refresh": refresh, "time": {"from": time, "to": "now"},
        "timezone": "", "templating": {"list": sources + list(variables)}, "annotations": {"list": []}, "links": [],
        "panels": placed,
    }
