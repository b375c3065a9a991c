(() => {
  const password = document.getElementById("password"), texts = document.currentScript.dataset;
  const button = document.createElement("input");
  const show = (shown) => {
    password.type = shown ? "text" : "password";
    button.value = shown ? texts.hide : texts.show;
    button.setAttribute("aria-label", shown ? texts.hidePassword : texts.showPassword);
  };
  button.type = "button";
  button.className = "reveal";
  button.setAttribute("aria-controls", password.id);
  button.addEventListener("click", () => show(password.type === "password"));
  // Hidden before it is sent: browsers put the content of text fields into their form history, and offer to save
  // that of password fields.
  password.form.addEventListener("submit", () => show(false));
  show(false);
  password.after(button);
})();
