//! GraphiQL's page and files: all from here, under a policy that lets no script of the page itself run.

use super::call;
use crate::harness::TestStudio;

#[tokio::test(flavor = "multi_thread")]
async fn b10_graphiql_comes_from_this_server_alone_under_a_policy() {
    let studio = TestStudio::start().await;
    let page = call(&studio, "GET", "/", &[], "").await;
    let policy = page.headers["content-security-policy"].to_str().expect("ASCII");
    let script = policy.split(';').map(str::trim).find(|part| part.starts_with("script-src")).expect("scripts");
    assert_eq!((script, policy.starts_with("default-src 'none'")), ("script-src 'self'", true));
    let addresses = ["src=\"", "href=\""].iter().flat_map(|attribute| page.text.split(attribute).skip(1));
    let addresses: Vec<&str> = addresses.map(|rest| rest.split('"').next().expect("an address")).collect();
    let files: Vec<&str> = addresses.iter().copied().filter(|address| *address != "data:,").collect();
    assert_eq!(files.len(), 4, "{addresses:?}");
    assert!(!page.text.contains("//") && page.text.matches("<script").count() == 2, "{}", page.text);
    for file in files {
        let answer = studio.client().get(format!("{}{file}", studio.url)).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{file}");
        let kind = answer.headers()["content-type"].to_str().expect("ASCII").to_owned();
        assert!(kind.starts_with(if file.ends_with(".js") { "text/javascript" } else { "text/css" }), "{file}: {kind}");
        let packed = answer.headers().get("content-encoding").is_some_and(|coding| coding == "gzip");
        let bytes = answer.bytes().await.expect("a body").to_vec();
        assert_eq!(packed, bytes.starts_with(&[0x1f, 0x8b]), "{file}");
        assert!(!bytes.is_empty(), "{file}");
    }
    let licences = call(&studio, "GET", "/graphiql/LICENSES.txt", &[], "").await;
    for name in ["graphiql", "react-dom", "graphql-ws", "codemirror"] {
        assert!(licences.text.contains(name), "{name}");
    }
    for other in ["/graphiql/pack.mjs", "/graphiql/..%2Fgraphiql.js", "/graphiql/%FF", "/graphiql/"] {
        assert_eq!(call(&studio, "GET", other, &[], "").await.status.as_u16(), 404, "{other}");
    }
    studio.stop().await;
}
