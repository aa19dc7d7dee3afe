// Uploads a file by tus as a web application would; prints what happened as JSON.
// From stdin as JSON: endpoint, file, source ("buffer" or "stream"), chunkBytes (0: unlimited), isDeferred, metadata,
// headers, retryMilliseconds, options (more of the client).

import { createReadStream, readFileSync, statSync } from "node:fs";
import { Agent } from "node:http";
import { DefaultHttpStack, Upload } from "tus-js-client";

const given = JSON.parse(readFileSync(0, "utf8"));
const happened = { accepted: [], retried: [], urls: [] };

// As the client decides by itself: what the server refuses is not tried again, but for a conflict or a lock.
function isPassing(error) {
  const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
  happened.retried.push(status);
  return status < 400 || status >= 500 || status === 409 || status === 423;
}

const upload = new Upload(given.source === "buffer" ? readFileSync(given.file) : createReadStream(given.file), {
  endpoint: given.endpoint,
  chunkSize: given.chunkBytes || Infinity,
  uploadSize: given.isDeferred ? null : statSync(given.file).size,
  uploadLengthDeferred: given.isDeferred,
  retryDelays: given.retryMilliseconds,
  headers: given.headers,
  ...given.options,
  metadata: given.metadata,
  // Each request may meet another server.
  httpStack: new DefaultHttpStack({ agent: new Agent({ keepAlive: false }) }),
  onChunkComplete: (chunkBytes, acceptedBytes) => happened.accepted.push(acceptedBytes),
  onUploadUrlAvailable: () => happened.urls.includes(upload.url) || happened.urls.push(upload.url),
  onShouldRetry: isPassing,
  onError: (error) => {
    console.error(String(error), JSON.stringify(happened));
    process.exit(1);
  },
  onSuccess: () => console.log(JSON.stringify(happened)),
});
upload.start();
