// Development server of the console. It serves dist/ as `endcap up` will, under the same paths and the same fence, passes
// recommendations and events on to a real router, and keeps the objects of dev/objects in memory. A tool, not the product.
//
//   node dev/server.mjs --router http://127.0.0.1:8080 --data FOLDER [--listen 127.0.0.1:8090] [--insights URL] [--watching]
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { kpis } from "./figures.mjs";
import { mergePatch, Objects } from "./objects.mjs";
import { find, readShop } from "./shop.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values: options } = parseArgs({
  options: {
    listen: { type: "string", default: "127.0.0.1:8090" },
    router: { type: "string", default: "http://127.0.0.1:8080" },
    insights: { type: "string" },
    data: { type: "string" },
    objects: { type: "string", default: here("objects") },
    dist: { type: "string", default: here("../dist") },
    watching: { type: "boolean", default: false },
  },
});

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const KINDS = {
  recommendermodels: "RecommenderModel",
  modelversions: "ModelVersion",
  promotionpolicies: "PromotionPolicy",
  experiments: "Experiment",
  events: "Event",
};

const objects = await Objects.read(options.objects);
const shop = options.data ? await readShop(options.data) : { products: [], customers: [] };
const config = {
  namespaces: ["default"],
  acting: !options.watching,
  models: objects.list("recommendermodels", "default").items.map(({ metadata: { namespace, name } }) => ({
    namespace,
    name,
    router: `/console/router/${namespace}/${name}`,
    insights: `/console/insights/${namespace}/${name}`,
  })),
};

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function refuse(response, code, reason, message) {
  answer(response, code, { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message });
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString("utf8"));
}

function passOn(request, response, base, path) {
  const { host: _host, ...headers } = request.headers;
  const onward = httpRequest(new URL(path, base), { method: request.method, headers }, (reply) => {
    response.writeHead(reply.statusCode, reply.headers);
    reply.pipe(response);
  });
  onward.on("error", (error) => answer(response, 502, { title: "Bad gateway", status: 502, detail: error.message }));
  request.pipe(onward);
}

async function kubernetes(request, response, url) {
  const found = /^\/apis\/(endcap\.dev\/v1alpha1|events\.k8s\.io\/v1)\/namespaces\/([^/]+)\/([a-z]+)(?:\/([^/]+))?(\/status)?$/.exec(url.pathname);
  const plural = found?.[3];
  if (!found || !(plural in KINDS)) return refuse(response, 404, "NotFound", `the path ${url.pathname} is not known`);
  const [, , namespace, , name, subresource] = found;
  if (request.method === "GET" && name) {
    const object = objects.get(plural, namespace, name);
    return object ? answer(response, 200, object) : refuse(response, 404, "NotFound", `${plural} "${name}" not found`);
  }
  if (request.method === "GET" && url.searchParams.get("watch") === "true") {
    return watch(request, response, plural, namespace, Number(url.searchParams.get("resourceVersion") ?? 0));
  }
  if (request.method === "GET") {
    const { items, resourceVersion } = objects.list(plural, namespace);
    return answer(response, 200, { kind: `${KINDS[plural]}List`, apiVersion: found[1], metadata: { resourceVersion }, items });
  }
  if (request.method === "PUT" && name) return answer(response, 200, objects.put(await bodyOf(request)));
  if (request.method === "DELETE" && name) {
    const gone = objects.delete(plural, namespace, name);
    return gone ? answer(response, 200, gone) : refuse(response, 404, "NotFound", `${plural} "${name}" not found`);
  }
  if (request.method !== "PATCH" || !name) return refuse(response, 405, "MethodNotAllowed", "use GET or PATCH");
  const before = objects.get(plural, namespace, name);
  if (!before) return refuse(response, 404, "NotFound", `${plural} "${name}" not found`);
  const patch = await bodyOf(request);
  // Of the schema only what the console can get wrong is checked here; `endcap up` judges all of it.
  const promoted = patch.spec?.promotedVersion;
  if (promoted && !promoted.startsWith(`${name}-v`)) {
    return refuse(response, 422, "Invalid", `spec.promotedVersion: must be <model>-v<N>, such as ${name}-v2, not ${promoted}`);
  }
  const part = subresource ? { status: patch.status } : { ...patch, status: before.status };
  return answer(response, 200, objects.put(mergePatch(before, part)));
}

function watch(request, response, plural, namespace, since) {
  const send = ({ type, object }) => response.write(`${JSON.stringify({ type, object })}\n`);
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  const stop = objects.watch(plural, namespace, since, send);
  if (!stop) {
    response.end(`${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" } })}\n`);
    return;
  }
  const bookmark = setInterval(() => {
    const { resourceVersion } = objects.list(plural, namespace);
    send({ type: "BOOKMARK", object: { metadata: { resourceVersion } } });
  }, 10_000);
  request.on("close", () => {
    clearInterval(bookmark);
    stop();
  });
}

function insights(response, path, query) {
  const limit = Number(query.get("limit") ?? 20);
  const words = query.get("query") ?? "";
  if (path === "/v1/products") {
    return answer(response, 200, { products: find(shop.products, words, (row) => `${row.id} ${row.name} ${row.category}`, limit) });
  }
  if (path === "/v1/customers") return answer(response, 200, { customers: find(shop.customers, words, (row) => row.id, limit) });
  if (path === "/v1/kpis") {
    const now = Date.now();
    const time = (name, otherwise) => (query.get(name) ? Date.parse(query.get(name)) : otherwise);
    return answer(response, 200, kpis(time("from", now - 6 * 3_600_000), time("to", now), query.get("by") ?? "minute", now));
  }
  return answer(response, 404, { title: "Not found", status: 404, detail: `the development server has no ${path}` });
}

async function file(response, path) {
  const wanted = normalize(join(options.dist, path === "/" ? "index.html" : path));
  const known = wanted.startsWith(options.dist) && (await stat(wanted).catch(() => undefined))?.isFile();
  if (!known) return answer(response, 404, { title: "Not found", status: 404 });
  response.writeHead(200, {
    "content-type": TYPES[extname(wanted)] ?? "application/octet-stream",
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
  });
  createReadStream(wanted).pipe(response);
}

async function serve(request, response) {
  const url = new URL(request.url, "http://console");
  if (request.method !== "GET" && request.headers["x-endcap-console"] !== "1") {
    return refuse(response, 403, "Forbidden", "requests that change something need the header x-endcap-console: 1");
  }
  if (url.pathname === "/console/config") return answer(response, 200, config);
  const behind = /^\/console\/(router|insights)\/[^/]+\/[^/]+(\/v1\/.*)$/.exec(url.pathname);
  if (behind?.[1] === "router") return passOn(request, response, options.router, behind[2]);
  if (behind && options.insights) return passOn(request, response, options.insights, behind[2] + url.search);
  if (behind) return insights(response, behind[2], url.searchParams);
  if (url.pathname.startsWith("/apis/")) return kubernetes(request, response, url);
  return file(response, decodeURIComponent(url.pathname));
}

const server = createServer((request, response) => {
  serve(request, response).catch((error) => refuse(response, 400, "BadRequest", `failed to read the request: ${error.message}`));
});
const [host, port] = options.listen.split(":");
server.listen(Number(port), host, () => {
  const address = server.address();
  console.log(JSON.stringify({ program: "console-dev-server", url: `http://${address.address}:${address.port}` }));
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
