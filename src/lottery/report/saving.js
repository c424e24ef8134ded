"use strict";
// Plotly reads a few entities in every name.
const unescaped = (name) => name.replace(/&(lt|gt|amp);/g, (_, c) => ({ lt: "<", gt: ">", amp: "&" })[c]);

// Figures and tables as files. Returns what a press on one of their buttons does.
const saving = ({ figures, csv, css, all, plot }) => {
  const save = (name, content, type) => {
    const link = document.createElement("a");
    link.href = typeof content === "string" && content.startsWith("data:") ? content
      : URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  // A spreadsheet must take no text for a formula.
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const text = (/^ *[=+\-@\t\r\n]/.test(value) ? "'" : "") + value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  const figureRows = ({ data, columns, measures, names }) => data.flatMap((trace, i) => {
    const head = { series: unescaped(trace.name), part: trace.meta.part ?? trace.type, ...trace.meta.csv };
    if (columns) {
      return (trace.customdata ?? []).map((row) =>
        ({ ...head, ...Object.fromEntries(columns.map((column, at) => [column, row[at]])) }));
    }
    const [across, up] = names ?? ["x", "y"];
    return trace.x.map((x, at) => ({ ...head, [across]: x, [up]: trace.y[at],
                                     ...(measures && { loss: measures.y[i][at] }) }))
      .filter((row) => row[across] !== null);
  });

  const asCsv = (rows) => [Object.keys(rows[0] ?? {}), ...rows.map(Object.values)]
    .map((row) => `${row.map(cell).join(",")}\r\n`).join("");

  // Pictures side by side with their labels, on a canvas.
  const collage = async (figure) => {
    const pictures = all(".picture:not([hidden])", figure), side = 320, gap = 20;
    const columns = Math.min(4, pictures.length), rows = Math.ceil(pictures.length / columns);
    const canvas = document.createElement("canvas");
    canvas.width = gap + columns * (side + gap);
    canvas.height = gap + rows * (side + 70);
    const pen = canvas.getContext("2d");
    pen.fillStyle = css("--surface");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = false;
    for (const [i, picture] of pictures.entries()) {
      const x = gap + (i % columns) * (side + gap), y = gap + Math.floor(i / columns) * (side + 70);
      const image = picture.querySelector("img");
      await image.decode();
      const scale = side / Math.max(image.naturalWidth, image.naturalHeight);
      pen.drawImage(image, x, y, image.naturalWidth * scale, image.naturalHeight * scale);
      const [label, note] = picture.querySelector("p").innerText.split("\n");
      pen.fillStyle = css("--text");
      pen.font = `600 18px ${css("--sans")}`;
      pen.fillText(label, x, y + side + 22);
      pen.fillStyle = css("--soft");
      pen.font = `14px ${css("--sans")}`;
      pen.fillText(note ?? "", x, y + side + 44, side);
    }
    return canvas;
  };

  // How opaque a picture is says how much is kept, to a 240th of the most there is in it.
  const picturesCsv = (figure) => asCsv(all(".picture:not([hidden])", figure).flatMap((picture) => {
    const image = picture.querySelector("img"), canvas = document.createElement("canvas");
    const [width, height] = [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const { data } = pen.getImageData(0, 0, width, height);
    const { peak, faintest } = picture.dataset;
    return Array.from({ length: width * height }, (_, i) => {
      const share = (data[4 * i + 3] - faintest) / (255 - faintest) * peak;
      return { picture: picture.querySelector("strong").textContent, x: i % width, y: Math.floor(i / width),
               share: data[4 * i + 3] ? Number(share.toPrecision(4)) : null };
    });
  }));

  const saveAs = async ({ save: kind, name }) => {
    const file = `lottery-${name}.${kind}`;
    if (kind === "csv" && name in csv) return save(file, csv[name], "text/csv");
    const figure = document.getElementById(`figure-${name}`);
    if (!(name in figures)) {
      if (kind === "csv") return save(file, picturesCsv(figure), "text/csv");
      const canvas = await collage(figure), image = canvas.toDataURL("image/png");
      if (kind === "png") return save(file, image);
      return save(file, `<svg xmlns="http://www.w3.org/2000/svg" width="${canvas.width}" height="${canvas.height}">`
        + `<image width="${canvas.width}" height="${canvas.height}" href="${image}"/></svg>`, "image/svg+xml");
    }
    if (kind === "csv") return save(file, asCsv(figureRows(figures[name])), "text/csv");
    const image = await Plotly.toImage(plot(name), { format: kind, scale: kind === "png" ? 2 : 1 });
    return save(file, image);
  };

  return saveAs;
};
