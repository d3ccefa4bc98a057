// Starts GraphiQL against this server: queries and mutations by POST, subscriptions by socket, both with the session's cookie.
"use strict";
const at = (path) => new URL(path, window.location.href);
const socket = at("/graphql/ws");
socket.protocol = socket.protocol === "https:" ? "wss:" : "ws:";
const fetcher = GraphiQL.createFetcher({ url: at("/graphql").href, subscriptionUrl: socket.href });
ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, { fetcher, defaultEditorToolsVisibility: true }),
);
