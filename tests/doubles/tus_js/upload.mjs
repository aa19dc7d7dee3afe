// Uploads a file by TUS as a web application would; prints what happened as JSON.
// Arguments: endpoint, bucket, object name, file, "buffer" or "stream". The key is in STORAGE_KEY.

import { createReadStream, readFileSync, statSync } from "node:fs";
import { Upload } from "tus-js-client";

const [endpoint, bucketName, objectName, path, source] = process.argv.slice(2);
const happened = { accepted: [], retries: 0, url: null };

const upload = new Upload(source === "buffer" ? readFileSync(path) : createReadStream(path), {
  endpoint,
  chunkSize: 6 * 1024 * 1024,
  uploadSize: statSync(path).size,
  retryDelays: [0, 50, 100, 200],
  headers: { authorization: `Bearer ${process.env.STORAGE_KEY}`, "x-upsert": "true" },
  metadata: { bucketName, objectName, contentType: "text/csv", cacheControl: "3600" },
  onChunkComplete: (chunkBytes, acceptedBytes) => happened.accepted.push(acceptedBytes),
  onShouldRetry: () => {
    happened.retries += 1;
    return true;
  },
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: () => {
    happened.url = upload.url;
    console.log(JSON.stringify(happened));
  },
});
upload.start();
