// The page with Swagger UI: shows openapi.json with it, below our own header. It uses page.js, and keeps the rules of
// elements.js; the Markdown of docstrings is left to Swagger UI, which sanitises it.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Swagger UI has its dark colours below a class, and does not ask the system itself. */
function followScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

const mapValues = (node, change) => (
  Object.fromEntries(Object.entries(record(node)).map(([name, value]) => [name, change(value)])));
const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** A field of path or query as Swagger UI fills it in: it prefers defaults to samples, and cannot write JSON. */
function readParameter(parameter) {
  const media = record(record(parameter.content)["application/json"]);
  const { content, ...field } = parameter;
  if (content) {
    const examples = mapValues(media.examples, ({ value }) => ({ value: asText(value) }));
    const description = [words(field.description), `As JSON: ${words(media.schema?.type) || "any value"}.`];
    return { ...field, description: description.join(" ").trim(), schema: { type: "string" }, examples };
  }
  const { default: standard, ...schema } = record(field.schema);
  return Object.keys(record(field.examples)).length ? { ...field, schema } : field;
}

function readOperation(operation) {
  return { ...operation, parameters: list(operation.parameters).map(readParameter) };
}

/** The document as Swagger UI gets it: less what our header says, and calling the server where the page is. */
function readDocument(root) {
  const info = record(root.info);
  const { summary, ...rest } = info;
  const here = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const description = remainder(words(info.description), words(summary));
  const paths = mapValues(root.paths, (methods) => mapValues(methods, readOperation));
  return { ...root, paths, info: { ...rest, description }, servers: [{ url: here }] };
}

/** The tracing id that the server told, or else the one that was sent. */
function tracingId(response, request) {
  const name = TRACING.toLowerCase();
  const find = (headers) => headers?.findEntry((_, key) => String(key).toLowerCase() === name)?.[1];
  return find(response.get("headers")) ?? find(request?.get("headers"));
}

/** Parts of Swagger UI that this page shows in another way. */
function ownParts() {
  const description = (_, { React, getComponent, specSelectors }) => () => {
    const Markdown = getComponent("Markdown", true);
    const source = words(specSelectors.info().get("description"));
    return React.createElement(React.Fragment, null,
      source && React.createElement("div", { className: "about" }, React.createElement(Markdown, { source })),
      React.createElement("h2", { className: "hidden" }, "Endpoints"));
  };

  const traced = (Answer, { React, specSelectors }) => (props) => {
    const { response, path, method } = props;
    const id = tracingId(response, specSelectors.mutatedRequestFor(path, method));
    return React.createElement(React.Fragment, null,
      React.createElement(Answer, props),
      id && React.createElement("p", { className: "tracing" }, "Tracing id: ",
        React.createElement("code", null, String(id))));
  };

  const picture = (Body, { React }) => (props) => {
    const { content, contentType } = props;
    const shows = /^image\//.test(contentType) && content instanceof Blob;
    const [source, setSource] = React.useState("");
    React.useEffect(() => { if (shows) dataUrl(content).then(setSource); }, [content]);
    if (!shows) return React.createElement(Body, props);
    return source && React.createElement("img", { src: source, alt: "The answer as a picture" });
  };

  const marked = (Path, { React, specSelectors }) => (props) => {
    const isOpen = specSelectors.security().size > 0 && props.operationProps.get("security")?.size === 0;
    return React.createElement(React.Fragment, null,
      React.createElement(Path, props),
      isOpen && React.createElement("span", { className: "open-mark" }, OPEN));
  };

  const nothing = () => () => null; // there is one server: where the page is

  return {
    wrapComponents: {
      InfoContainer: description,
      ServersContainer: nothing,
      OperationSummaryPath: marked,
      liveResponse: traced,
      responseBody: picture,
    },
  };
}

function requestInterceptor(request) {
  request.headers[TRACING] = newTracingId();
  return request;
}

/** Tell a screen reader that the answer is there, and look at the job where it went wrong. */
function responseInterceptor(response) {
  byId("announcer").textContent = `Answer: ${response.status} ${response.statusText}`.trim();
  if (!response.status || response.status >= 500) getJson("health").then(showState);
  // A job has statuses of its own, but no such challenge.
  showRefusal(response.status === 401 && Object.hasOwn(record(response.headers), "www-authenticate"));
  return response;
}

function showJob(root) {
  const { title, version, summary } = record(root.info);
  showName(words(title) || "Job", words(version));
  byId("summary").replaceChildren(...inline(words(summary)));
  byId("notice").replaceChildren();
  SwaggerUIBundle({
    spec: readDocument(root),
    domNode: byId("endpoints"),
    layout: "BaseLayout",
    plugins: [ownParts],
    requestInterceptor,
    responseInterceptor,
    validatorUrl: null, // a badge from another host
    persistAuthorization: false,
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    syntaxHighlight: { activated: false }, // its colours are for dark ground only
  });
}

dark.addEventListener("change", followScheme);
followScheme();
load();
