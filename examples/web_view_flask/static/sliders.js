// Shows the value of each slider beside its label.
for (const output of document.querySelectorAll("output[for]")) {
  const slider = document.getElementById(output.htmlFor.value);
  const show = () => { output.value = slider.value; };
  slider.addEventListener("input", show);
  show();
}
