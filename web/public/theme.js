// Runs before the first paint, so that a remembered theme does not flash; a file because the policy allows no inline script.
(function () {
  try {
    var theme = localStorage.getItem("hounsfield.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Storage may be blocked; the system's preference then stands.
  }
})();
