"use strict";

// Sorting, filtering and local times. The page is whole without them.
{
  const filter = document.getElementById("filter");
  const found = document.querySelector("output");

  // The rows as the server ordered them: that order is "by name", here as there.
  let rows = [];
  let order = { column: "name", direction: "ascending" };

  // Folders stay on top in every order, as they do without a script.
  const keys = {
    name: (row) => row.index,
    size: (row) => row.size,
    modified: (row) => row.modified,
  };
  const firstDirection = { name: "ascending", size: "descending", modified: "descending" };

  function read(element, index) {
    const [heading, size, modified] = element.cells;
    const link = heading.firstElementChild;
    return {
      element,
      index,
      isFolder: link.getAttribute("href").endsWith("/"),
      text: link.textContent.toLowerCase(),
      size: Number(size.firstElementChild?.value ?? 0),
      modified: Date.parse(modified.firstElementChild.dateTime),
    };
  }

  function sort() {
    const key = keys[order.column];
    const sign = order.direction === "ascending" ? 1 : -1;
    rows.sort((a, b) =>
      b.isFolder - a.isFolder || sign * (key(a) - key(b)) || a.index - b.index);
    const sorted = document.createDocumentFragment();
    for (const row of rows) sorted.append(row.element);
    document.getElementById("entries").append(sorted);
  }

  function mark() {
    for (const heading of document.querySelectorAll("thead th")) {
      if (heading.className === order.column) heading.ariaSort = order.direction;
      else heading.removeAttribute("aria-sort");
    }
  }

  function narrow() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.text.includes(word));
      if (row.element.hidden === fits) row.element.hidden = !fits;
      count += fits;
    }
    found.textContent = words.length ? `${count} of ${rows.length}` : "";
  }

  const digits = (number, width = 2) => String(number).padStart(width, "0");

  function localize(time) {
    const date = new Date(time.dateTime);
    time.firstChild.data =
      `${digits(date.getFullYear(), 4)}-${digits(date.getMonth() + 1)}-${digits(date.getDate())}`;
    time.lastChild.textContent = ` ${digits(date.getHours())}:${digits(date.getMinutes())}`;
  }

  // A listing came: with the page, or in place of an older one.
  function begin() {
    const table = document.querySelector("table");
    filter.parentElement.hidden = table === null;
    rows = [];
    if (table === null) return;
    rows = Array.from(document.getElementById("entries").rows, read);
    table.querySelectorAll("time").forEach(localize);
    table.querySelector("small").remove();
    for (const button of table.tHead.querySelectorAll("button")) button.disabled = false;
    if (order.column !== "name" || order.direction !== "ascending") sort();
    mark();
    narrow();
  }

  document.getElementById("listing").addEventListener("click", (event) => {
    const column = event.target.closest("thead button")?.parentElement.className;
    if (!column) return;
    const turned = order.direction === "ascending" ? "descending" : "ascending";
    order = { column, direction: column === order.column ? turned : firstDirection[column] };
    remember();
    sort();
    mark();
  });
  filter.addEventListener("input", narrow);
  addEventListener("pageshow", narrow); // going back brings the filter's text back, too
  document.addEventListener("listing", begin);

  // The order holds for a tab, from folder to folder. Storage can be forbidden.
  function remember() {
    try {
      sessionStorage.setItem("order", JSON.stringify(order));
    } catch {}
  }

  function recall() {
    try {
      const kept = JSON.parse(sessionStorage.getItem("order"));
      if (kept.column in keys && kept.direction.endsWith("scending")) order = kept;
    } catch {}
  }

  document.documentElement.classList.add("with-script");
  recall();
  begin();
}
