// The API's own description, by Swagger UI: "Authorize" takes a key or a visitor's token, and keeps it nowhere.

SwaggerUIBundle({
  url: "../openapi.json", dom_id: "#api", layout: "BaseLayout", presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true, docExpansion: "list", defaultModelsExpandDepth: 0, displayRequestDuration: true, filter: true,
  validatorUrl: null, persistAuthorization: false, tryItOutEnabled: true,
  onComplete: () => { document.body.dataset.ready = "true"; },
});
