"use strict";
// Sort the table by a column, and copy it as CSV.
(() => {
  function sortBy(button) {
    const head = button.closest("th");
    const table = head.closest("table");
    const k = Array.from(head.parentNode.children).indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (line) => line.children[k].dataset.value ?? line.children[k].textContent;
    const numeric = head.classList.contains("number");
    const lines = Array.from(table.tBodies[0].rows).sort((a, b) =>
      numeric ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b), "en", { numeric: true }));
    table.tBodies[0].append(...(down ? lines.reverse() : lines));
  }

  // A cell of text that a spreadsheet would take for a formula gets an apostrophe before it.
  function asCsv(table) {
    const cell = (element, isHead) => {
      const text = element.dataset.value ?? element.textContent.trim();
      const isNumber = !isHead && element.classList.contains("number");
      const safe = !isNumber && /^\s*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
      return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    return Array.from(table.rows).map((line) =>
      Array.from(line.cells).map((element) => cell(element, element.tagName === "TH" && line.parentNode.tagName === "THEAD")).join(",")
    ).join("\n") + "\n";
  }

  async function copyCsv(button) {
    const text = asCsv(document.getElementById(button.dataset.table));
    button.dataset.copied = text;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    document.getElementById("said").textContent = "The table is on the clipboard as CSV.";
  }

  for (const button of document.querySelectorAll("thead button")) button.addEventListener("click", () => sortBy(button));
  for (const button of document.querySelectorAll("button[data-table]")) button.addEventListener("click", () => copyCsv(button));
})();
