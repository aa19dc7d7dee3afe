// Shows the document that the page names. A file of its own: the page's policy allows no script within it.
const place = document.getElementById("ui");
window.ui = SwaggerUIBundle({
  domNode: place,
  url: new URL(place.dataset.document, window.location.href).href,
  deepLinking: true,
  // Else the document would be sent to another host.
  validatorUrl: null,
});
