"use strict";
(() => {
  const { figures, tones } = JSON.parse(document.getElementById("report-data").textContent);
  const darkness = matchMedia("screen and (prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const plot = (name) => document.getElementById(`plot-${name}`);
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));

  // --- colours -------------------------------------------------------------------------------

  const tone = (name) => (tones[name] || tones.ink)[darkness.matches ? 1 : 0];

  // What the theme decides about traces, one value for each: the form Plotly.restyle takes.
  const traceColours = (traces) => {
    const colours = traces.map((trace) => tone(trace.meta.tone));
    return {
      "line.color": traces.map((trace, i) => colours[i] + (trace.fill ? "40" : "")),
      "marker.color": colours,
      "marker.line.color": traces.map(() => css("--surface")),
      fillcolor: colours.map((colour) => colour + "26"),
    };
  };

  const layoutColours = (layout) => {
    const theme = {
      paper_bgcolor: css("--surface"),
      plot_bgcolor: css("--surface"),
      "font.color": css("--soft"),
      "title.font.color": css("--text"),
      "hoverlabel.bgcolor": css("--surface"),
      "hoverlabel.bordercolor": css("--line"),
      "hoverlabel.font.color": css("--text"),
      "modebar.color": css("--soft"),
      "modebar.activecolor": css("--accent"),
      "modebar.bgcolor": "rgba(0,0,0,0)",
    };
    for (const axis of ["xaxis", "yaxis"]) {
      theme[`${axis}.gridcolor`] = css("--grid");
      theme[`${axis}.linecolor`] = css("--line");
      theme[`${axis}.zerolinecolor`] = css("--grid");
    }
    (layout.shapes || []).forEach((_, i) => { theme[`shapes[${i}].line.color`] = tone("main"); });
    (layout.annotations || []).forEach((_, i) => { theme[`annotations[${i}].font.color`] = tone("main"); });
    return theme;
  };

  const paintSwatches = () =>
    all("[data-tone]").forEach((swatch) => { swatch.style.background = tone(swatch.dataset.tone); });

  // --- layout --------------------------------------------------------------------------------

  const base = {
    font: { family: css("--sans"), size: 13 },
    title: { x: 0, xanchor: "left", xref: "container", y: 1, yanchor: "top", yref: "container",
             pad: { l: 2, t: 6 }, font: { size: 14, weight: 600 } },
    margin: { l: 50, r: 14, t: 40, b: 52 },
    hovermode: "closest",
    hoverlabel: { align: "left" },
    legend: { orientation: "h", x: 0, xanchor: "left", xref: "container", y: 0, yanchor: "bottom", yref: "container",
              itemdoubleclick: "toggleothers", traceorder: "normal" },
    dragmode: touch.matches ? false : "zoom",
  };

  const merged = (under, over) => {
    const result = { ...under };
    for (const [key, value] of Object.entries(over)) {
      const deep = value && typeof value === "object" && !Array.isArray(value);
      result[key] = deep ? merged(under[key] || {}, value) : value;
    }
    return result;
  };

  // As many of the ticks as there is room for, always with the first.
  const ticks = (figure, width) => {
    const { tickvals, ticktext } = figure.layout.xaxis;
    if (!tickvals) return {};
    const longest = Math.max(...ticktext.map((text) => text.length));
    const every = Math.ceil((tickvals.length * (longest * 8 + 12)) / Math.max(width - 64, 80));
    const kept = (_, i) => i % every === 0;
    return { "xaxis.tickvals": tickvals.filter(kept), "xaxis.ticktext": ticktext.filter(kept) };
  };

  // Set what a dotted path names, as Plotly.update would.
  const put = (target, path, value) => {
    const keys = path.split(/[.[\]]+/);
    const last = keys.pop();
    keys.reduce((inner, key) => (inner[key] ??= {}), target)[last] = value;
  };

  const build = (name, figure) => {
    const target = plot(name);
    const layout = merged(base, figure.layout);
    for (const axis of ["xaxis", "yaxis"]) {
      layout[axis] = { zeroline: false, automargin: true, ...layout[axis] };
    }
    layout.xaxis = { showline: true, showgrid: false, ticks: "outside", ticklen: 4, ...layout.xaxis };
    layout.xaxis.title = { ...layout.xaxis.title, standoff: 10, font: { size: 13 } };
    if (layout.annotations) layout.margin = { ...layout.margin, t: layout.margin.t + 18 };
    const config = {
      displaylogo: false,
      displayModeBar: touch.matches ? false : "hover",
      modeBarButtons: [["toImage", "resetScale2d"]],
      toImageButtonOptions: { filename: `lottery-${name}`, scale: 2 },
      responsive: true,
    };
    // Plotly keeps and changes what it is given; the figure itself stays as it was.
    const traces = structuredClone(figure.data), whole = structuredClone(layout);
    for (const [path, each] of Object.entries(traceColours(traces))) {
      traces.forEach((trace, i) => put(trace, path, Array.isArray(each) ? each[i] : each));
    }
    const decided = { ...layoutColours(whole), ...ticks(figure, target.clientWidth) };
    if (name === "curves") decided["yaxis.range"] = range(visibleCurves()) ?? undefined;
    for (const [path, value] of Object.entries(decided)) put(whole, path, value);
    Plotly.newPlot(target, traces, whole, config);
  };

  const repaint = () => {
    for (const name of Object.keys(figures)) {
      const target = plot(name);
      Plotly.update(target, traceColours(target.data), layoutColours(target.layout));
    }
    paintSwatches();
  };

  const fit = () => {
    for (const [name, figure] of Object.entries(figures)) {
      Plotly.relayout(plot(name), ticks(figure, plot(name).clientWidth));
    }
  };

  // --- controls of the learning curves -------------------------------------------------------

  const curves = figures.curves;
  let measure = "accuracy";

  const wanted = (attribute) =>
    new Set(all(`button[data-${attribute}]`).filter(pressed).map((b) => b.dataset[attribute]));

  const visibleCurves = () => {
    const levels = wanted("level"), kinds = wanted("kind"), single = wanted("part").size > 0;
    return curves.data.map(({ meta }) =>
      levels.has(String(meta.level)) && kinds.has(meta.kind) &&
      (single || meta.part !== "replicates"));
  };

  const values = (i) => (measure === "loss" ? curves.loss[i] : curves.data[i].y);

  // The range of what is visible after the first fifth, where curves differ the most.
  const range = (visible) => {
    let last = 0, low = Infinity, high = -Infinity;
    const shown = curves.data.map((trace, i) => i)
      .filter((i) => visible[i] && curves.data[i].meta.part !== "replicates");
    for (const i of shown) for (const x of curves.data[i].x) last = Math.max(last, x);
    for (const i of shown) {
      curves.data[i].x.forEach((x, at) => {
        const y = values(i)[at];
        if (y === null || x < 0.2 * last) return;
        low = Math.min(low, y);
        high = Math.max(high, y);
      });
    }
    const edge = 0.06 * (high - low) || 1;
    return low <= high ? [low - edge, high + edge] : null;
  };

  const drawCurves = () => {
    const visible = visibleCurves();
    const axis = range(visible);
    Plotly.update(plot("curves"),
      { visible, y: curves.data.map((_, i) => values(i)) },
      { "title.text": curves.titles[measure],
        ...(axis ? { "yaxis.range": axis } : { "yaxis.autorange": true }), "xaxis.autorange": true });
  };

  const chooseOne = (button, group) =>
    all(group).forEach((other) => press(other, other === button));

  // Show or hide a part of every figure, but not of what the reader hid by its name.
  const togglePart = (part, on) => {
    for (const [name, figure] of Object.entries(figures)) {
      const drawn = plot(name).data;
      const hidden = new Set(drawn.filter((trace) => trace.visible === "legendonly")
        .map((trace) => trace.legendgroup));
      const at = figure.data.map((_, i) => i).filter((i) => drawn[i].meta.part === part);
      const visible = at.map((i) => on && (hidden.has(drawn[i].legendgroup) ? "legendonly" : true));
      if (at.length) Plotly.restyle(plot(name), { visible }, at);
    }
  };

  const wire = () => {
    all("button[data-toggle]").forEach((button) => button.addEventListener("click", () => {
      press(button, !pressed(button));
      togglePart(button.dataset.toggle, pressed(button));
    }));
    all("button[data-range]").forEach((button) => button.addEventListener("click", () => {
      chooseOne(button, `button[data-plot="${button.dataset.plot}"]`);
      const target = figures[button.dataset.plot].ranges[button.dataset.range];
      Plotly.relayout(plot(button.dataset.plot), { "yaxis.range": target.slice() });
    }));
    all("button[data-copy]").forEach((button) => button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
      await navigator.clipboard.writeText(source.textContent).then(
        () => { button.textContent = "Copied"; },
        () => {}, // Not allowed here: the text is selected, which is as far as it goes.
      );
    }));
    if (!curves) return;
    all("button[data-level], button[data-kind], button[data-part]").forEach((button) =>
      button.addEventListener("click", () => {
        press(button, !pressed(button));
        drawCurves();
      }));
    all("button[data-measure]").forEach((button) => button.addEventListener("click", () => {
      chooseOne(button, "button[data-measure]");
      measure = button.dataset.measure;
      drawCurves();
    }));
  };

  // --- start ---------------------------------------------------------------------------------

  paintSwatches();
  for (const [name, figure] of Object.entries(figures)) build(name, figure);
  wire();
  darkness.addEventListener("change", repaint);
  // Paper is narrower than most windows, and a printout does not resize anything by itself.
  const targets = Object.keys(figures).map(plot);
  addEventListener("beforeprint", () =>
    targets.forEach((target) => Plotly.relayout(target, { width: 660, height: 480 })));
  addEventListener("afterprint", () =>
    targets.forEach((target) => Plotly.relayout(target, { width: null, height: null })
      .then(() => Plotly.Plots.resize(target))));
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(fit, 150);
  });
})();
