// What the test pages do, in the page: plain calls of the browser, as a frontend makes them.
"use strict";

/** One GraphQL request; a header of the page's own makes the browser ask first whatever else it sends. */
async function graphql(server, query, { variables = {}, token, credentials = "include" } = {}) {
  const headers = { "content-type": "application/json", "x-page": "1" };
  if (token) headers.authorization = `Bearer ${token}`;
  const body = JSON.stringify({ query, variables });
  const response = await fetch(`${server}/graphql`, { method: "POST", headers, body, credentials });
  return { status: response.status, requestId: response.headers.get("x-request-id"), ...(await response.json()) };
}

/** Signs the demo studio's owner in; the token, beside the cookie. */
async function signIn(server) {
  const query = "mutation($input: SignInInput!) { signIn(input: $input) { token userErrors { code message } } }";
  const input = { email: "demo@demo.example", password: "atelier-demo-1" };
  const answer = await graphql(server, query, { variables: { input } });
  if (!answer.data?.signIn?.token) throw new Error(JSON.stringify(answer));
  return answer.data.signIn.token;
}

/** Draws a square and uploads it as the avatar; what the server says. */
async function uploadAvatar(server, options) {
  const place = await graphql(server, "mutation { requestAvatarUpload { upload { url } userErrors { code } } }", options);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 300;
  const drawing = canvas.getContext("2d");
  drawing.fillStyle = "rgb(200, 30, 60)";
  drawing.fillRect(0, 0, 300, 300);
  const file = await new Promise((done) => canvas.toBlob(done, "image/png"));
  const { credentials = "include", token } = options ?? {};
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(place.data.requestAvatarUpload.upload.url, { method: "PUT", body: file, credentials, headers });
  return { status: response.status, ...(await response.json()) };
}

/** The colour in the middle of an image that is fetched, or loaded for a canvas; throws when the canvas is tainted. */
async function middleOf(url, how, credentials) {
  let image;
  if (how === "fetch") {
    const response = await fetch(url, { credentials });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    image = await createImageBitmap(await response.blob());
  } else {
    image = new Image();
    image.crossOrigin = credentials === "include" ? "use-credentials" : "anonymous";
    image.src = url;
    await image.decode();
  }
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  const drawing = canvas.getContext("2d");
  drawing.drawImage(image, 0, 0);
  return [...drawing.getImageData(image.width >> 1, image.height >> 1, 1, 1).data];
}

/** Opens a socket and subscribes; the first event, or the code of the close. */
function firstEvent(server, query, payload) {
  return new Promise((done) => {
    const socket = new WebSocket(`${server.replace("http", "ws")}/graphql/ws`, "graphql-transport-ws");
    const say = (message) => socket.send(JSON.stringify(message));
    socket.onopen = () => say({ type: "connection_init", payload });
    socket.onclose = (event) => done({ closed: event.code });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "connection_ack") say({ id: "1", type: "subscribe", payload: { query } });
      if (message.type === "next") done(message.payload);
      if (message.type === "error") done({ errors: message.payload });
    };
  });
}
