"use strict";
(() => {
  const { figures, tones, csv } = JSON.parse(document.getElementById("report-data").textContent);
  const darkness = matchMedia("screen and (prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const plot = (name) => document.getElementById(`plot-${name}`);
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));

  // --- colours -------------------------------------------------------------------------------

  const tone = (name) => (tones[name] || tones.dense)[darkness.matches ? 1 : 0];
  const dark = (colour) =>
    [[1, 0.3], [3, 0.59], [5, 0.11]].reduce((sum, [at, weight]) =>
      sum + weight * parseInt(colour.slice(at, at + 2), 16), 0) < 140;

  // What the theme decides about traces, one value for each: the form Plotly.restyle takes.
  const traceColours = (traces) => {
    const colours = traces.map(({ meta }) => (meta.tones ? meta.tones.map(tone) : tone(meta.tone)));
    const single = colours.map((colour) => (Array.isArray(colour) ? colour[0] : colour));
    const decided = {
      "marker.color": colours,
      "line.color": single.map((colour, i) => colour + (traces[i].fill ? "40" : "")),
      "marker.line.color": single.map((colour, i) => {
        const line = (symbol) => (symbol.endsWith("-open") ? colour : css("--surface"));
        const symbol = traces[i].marker?.symbol ?? "";
        return Array.isArray(symbol) ? symbol.map(line) : line(symbol);
      }),
      fillcolor: single.map((colour) => colour + "26"),
      "error_x.color": single,
      "insidetextfont.color": colours.map((colour) =>
        [].concat(colour).map((one) => (dark(one) ? "#ffffff" : "#171b22"))),
    };
    const bars = traces.map((trace) => trace.type === "bar");
    const kept = (path) => !bars.some(Boolean) || /^(marker\.color|insidetextfont)/.test(path);
    return Object.fromEntries(Object.entries(decided).filter(([path]) =>
      kept(path) && (bars.some(Boolean) || !path.startsWith("insidetext"))));
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
    (layout.shapes || []).forEach((shape, i) => {
      theme[`shapes[${i}].line.color`] = tone(shape.name);
      if (shape.type === "rect") theme[`shapes[${i}].fillcolor`] = tone("main") + "22";
    });
    (layout.annotations || []).forEach((note, i) => {
      theme[`annotations[${i}].font.color`] = tone(note.name);
    });
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
              traceorder: "normal" },
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

  const longest = (texts) => Math.max(0, ...(texts ?? []).map((text) => text.replace(/<.*?>/g, "").length));

  // As many of the ticks as there is room for, always with no difference, or else with the first.
  const ticks = (figure, width) => {
    const { xaxis: { tickvals, ticktext, range, type }, yaxis, margin, uniformtext } = figure.layout;
    if (!tickvals) return {};
    const room = Math.max(width - Math.max(50, 8 * longest(yaxis.ticktext) + 14) - (margin?.r ?? 14), 80);
    const place = (value) => (type === "log" ? Math.log10(value) : value);
    const pixels = (i, j) => Math.abs(place(tickvals[i]) - place(tickvals[j])) / Math.abs(range[1] - range[0]) * room;
    const needs = 8 * longest(ticktext) + 12;
    const fixed = Math.max(0, ticktext.findIndex((text) => text === "0" || text === "1×"));
    const kept = new Set([fixed]);
    for (const step of [1, -1]) {
      for (let last = fixed, i = fixed + step; i in tickvals; i += step) {
        if (pixels(i, last) >= needs) kept.add((last = i));
      }
    }
    const isKept = (_, i) => kept.has(i);
    const shown = { "xaxis.tickvals": tickvals.filter(isKept), "xaxis.ticktext": ticktext.filter(isKept) };
    // Numbers in bars are all there or none: those that happen to be short would look chosen.
    const minsize = room / tickvals.length < 6 * longest(ticktext) ? 99 : uniformtext?.minsize;
    return uniformtext ? { ...shown, "uniformtext.minsize": minsize } : shown;
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
    layout.xaxis = { showline: true, showgrid: false, ticks: "outside", ticklen: 4, tickangle: 0, ...layout.xaxis };
    layout.xaxis.title = { ...layout.xaxis.title, standoff: 10, font: { size: 13 } };
    if (layout.annotations && !figure.layout.margin) layout.margin = { ...layout.margin, t: 58 };
    const config = {
      displaylogo: false,
      displayModeBar: touch.matches ? false : "hover",
      modeBarButtons: [["resetScale2d"]],
      responsive: true,
    };
    // Plotly keeps and changes what it is given; the figure itself stays as it was.
    const traces = structuredClone(figure.data), whole = structuredClone(layout);
    for (const [path, each] of Object.entries(traceColours(traces))) {
      traces.forEach((trace, i) => put(trace, path, Array.isArray(each) ? each[i] : each));
    }
    const visible = visibility(name);
    traces.forEach((trace, i) => { trace.visible = visible[i]; });
    const decided = { ...layoutColours(whole), ...ticks(figure, target.clientWidth) };
    for (const [path, value] of Object.entries(decided)) put(whole, path, value);
    Plotly.newPlot(target, traces, whole, config);
    for (const [event, alone] of [["plotly_legendclick", false], ["plotly_legenddoubleclick", true]]) {
      target.on(event, ({ curveNumber }) => {
        toggleName(name, figure.data[curveNumber].legendgroup, alone);
        return false;
      });
    }
    target.on("plotly_afterplot", () => openLegend(name));
    openLegend(name);
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

  // --- what is shown -------------------------------------------------------------------------

  const hidden = Object.fromEntries(Object.keys(figures).map((name) => [name, new Set()]));
  const measure = {};
  const buttons = (name) => all("button[data-choice]").filter((button) =>
    button.dataset.plot.split(" ").includes(name));

  // A trace goes with the buttons that its meta names; a name in the legend hides all of its group.
  const chosen = (name, among = buttons(name)) => {
    const off = new Set(among.filter((button) => !pressed(button))
      .map(({ dataset }) => `${dataset.choice} ${dataset.value}`));
    return (meta) => !Object.entries(meta).some(([key, value]) => off.has(`${key} ${value}`));
  };

  // Of chips, those alone are offered of which there is something in the segments that are pressed.
  const offer = (name) => {
    const isSingle = (button) => "single" in button.dataset;
    const chips = buttons(name).filter((button) => !isSingle(button));
    const there = figures[name].data.map(({ meta }) => meta)
      .filter(chosen(name, buttons(name).filter(isSingle)));
    for (const chip of chips) {
      const { choice, value } = chip.dataset;
      chip.hidden = !there.some((meta) => String(meta[choice]) === value);
    }
    const offered = chips.filter((chip) => !chip.hidden);
    if (offered.length && !offered.some(pressed)) press(offered[0], true);
  };

  const visibility = (name) => {
    const isChosen = chosen(name);
    return figures[name].data.map(({ meta, legendgroup }) => {
      if (!isChosen(meta)) return false;
      return hidden[name].has(legendgroup) ? "legendonly" : true;
    });
  };

  const showPictures = (name) => {
    const isChosen = chosen(name);
    all(".picture", document.getElementById(`figure-${name}`)).forEach((picture) => {
      picture.hidden = !isChosen(picture.dataset);
    });
  };

  const values = (name, i) =>
    (measure[name] && measure[name] !== Object.keys(figures[name].measures.titles)[0]
      ? figures[name].measures.y[i] : figures[name].data[i].y);

  // The ranges of what is visible; of curves only after the first fifth, where they differ the most.
  // What fits "both" is a histogram, of which the whole of both axes is shown.
  const ranges = (name, visible) => {
    const figure = figures[name], whole = figure.fit === "both";
    if (!figure.measures && !figure.fit) return {};
    const shown = figure.data.map((_, i) => i)
      .filter((i) => visible[i] === true && figure.data[i].meta.part !== "replicates");
    const xs = shown.flatMap((i) => figure.data[i].x);
    const last = Math.max(0, ...xs);
    const ys = shown.flatMap((i) => values(name, i).filter((y, at) =>
      y !== null && (figure.fit || figure.data[i].x[at] >= 0.2 * last)));
    if (!ys.length) return {};
    const low = whole ? 0 : Math.min(...ys), high = Math.max(...ys);
    const edge = 0.06 * (high - low) || 0.1;
    const range = { "yaxis.range": [whole ? 0 : low - edge, high + edge] };
    return whole ? { ...range, "xaxis.range": [Math.min(...xs), last] } : range;
  };

  const show = (name) => {
    if (!(name in figures)) return showPictures(name);
    const figure = figures[name], visible = visibility(name);
    const style = { visible };
    const layout = ranges(name, visible);
    if (figure.measures) {
      style.y = figure.data.map((_, i) => values(name, i));
      layout["title.text"] = figure.measures.titles[measure[name] || "accuracy"];
    }
    return Plotly.update(plot(name), style, layout);
  };

  const toggleName = (name, group, alone) => {
    const groups = new Set(figures[name].data.map((trace) => trace.legendgroup));
    const off = hidden[name];
    if (alone) {
      const only = groups.size - off.size === 1 && !off.has(group);
      hidden[name] = only ? new Set() : new Set([...groups].filter((other) => other !== group));
    } else if (!off.delete(group)) off.add(group);
    show(name);
  };

  // Plotly's legend hears the mouse alone; names become buttons for the keyboard and for readers.
  const openLegend = (name) => {
    for (const entry of all(".legend .traces", plot(name))) {
      const text = entry.querySelector(".legendtext"), button = entry.querySelector(".legendtoggle");
      if (!text || !button) continue;
      const label = text.textContent;
      const group = figures[name].data.find((trace) => unescaped(trace.name) === label)?.legendgroup;
      if (group === undefined) continue;
      const attributes = { tabindex: 0, role: "button", "aria-label": label,
                           "aria-pressed": !hidden[name].has(group) };
      for (const [key, value] of Object.entries(attributes)) button.setAttribute(key, value);
      button.onkeydown = (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        toggleName(name, group, event.shiftKey);
      };
    }
  };

  const chooseOne = (button, others) => others.forEach((other) => press(other, other === button));
  const same = (button, key) =>
    all(`button[data-${key}]`).filter((other) => other.dataset.plot === button.dataset.plot);

  const saveAs = saving({ figures, csv, css, all, plot });

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(source);
    button.textContent = "Selected";
    await navigator.clipboard.writeText(source.textContent).then(
      () => { button.textContent = "Copied"; },
      () => {}, // Not allowed here: the text is selected, which is as far as it goes.
    );
  };

  // --- buttons -------------------------------------------------------------------------------

  const acts = {
    choice: (button) => {
      const others = same(button, "choice").filter((other) => other.dataset.choice === button.dataset.choice);
      if ("single" in button.dataset) chooseOne(button, others);
      else press(button, !pressed(button));
      const names = button.dataset.plot.split(" ");
      if ("single" in button.dataset) names.filter((name) => name in figures).forEach(offer);
      names.forEach(show);
    },
    range: (button) => {
      chooseOne(button, same(button, "range"));
      const range = figures[button.dataset.plot].ranges[button.dataset.range];
      Plotly.relayout(plot(button.dataset.plot), { "yaxis.range": range.slice() });
    },
    measure: (button) => {
      chooseOne(button, same(button, "measure"));
      measure[button.dataset.plot] = button.dataset.measure;
      show(button.dataset.plot);
    },
    save: (button) => saveAs(button.dataset),
    copy,
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const act = button && Object.keys(acts).find((key) => key in button.dataset);
    if (act) acts[act](button);
  });

  // --- start ---------------------------------------------------------------------------------

  paintSwatches();
  Object.keys(figures).forEach(offer);
  for (const [name, figure] of Object.entries(figures)) build(name, figure);
  darkness.addEventListener("change", repaint);
  // Paper is narrower than most windows, and a printout does not resize anything by itself.
  const folded = [];
  addEventListener("beforeprint", () => {
    folded.push(...all(".verdict details:not([open])"));
    folded.forEach((details) => { details.open = true; });
    for (const name of Object.keys(figures)) Plotly.relayout(plot(name), { width: 660, height: figures[name].height ?? 400 });
  });
  addEventListener("afterprint", () => {
    folded.splice(0).forEach((details) => { details.open = false; });
    for (const name of Object.keys(figures)) {
      Plotly.relayout(plot(name), { width: null, height: null }).then(() => Plotly.Plots.resize(plot(name)));
    }
  });
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(fit, 150); });
})();
