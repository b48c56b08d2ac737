//! The Control UI: a few files as they are, served under a policy that lets nothing else into the page and frames it nowhere.

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::http::{Reply, respond};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal $kind:ident $name:literal),+ $(,)?) => {
        &[$(($path, $kind, include_str!(concat!("page/", $name)))),+]
    };
}

/// Path, type and text of each file.
const FILES: &[(&str, &str, &str)] = files!(
    "/" HTML "index.html",
    "/page.css" CSS "page.css",
    "/icon.svg" SVG "icon.svg",
    "/page.js" SCRIPT "page.js",
    "/link.js" SCRIPT "link.js",
    "/device.js" SCRIPT "device.js",
    "/text.js" SCRIPT "text.js",
    "/gate.js" SCRIPT "gate.js",
    "/devices.js" SCRIPT "devices.js",
    "/rows.js" SCRIPT "rows.js",
    "/journal.js" SCRIPT "journal.js",
    "/provenance.js" SCRIPT "provenance.js",
    "/timeline.js" SCRIPT "timeline.js",
    "/policy.js" SCRIPT "policy.js",
    "/health.js" SCRIPT "health.js",
);

/// What the page may load and where it may connect: to where it came from (THREATS.md X28).
const MAY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                   form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The file of the page that is asked for; whoever wants to do anything but read it finds nothing there (OpenClaw 2026.3.13).
pub(super) fn answer(parts: &Parts) -> Option<Reply> {
    let is_reader = matches!(parts.method, Method::GET | Method::HEAD);
    let (_, kind, text) = FILES.iter().find(|(path, ..)| is_reader && *path == parts.uri.path())?;
    let mut reply = respond(StatusCode::OK, kind, *text);
    let set = [
        (header::CONTENT_SECURITY_POLICY, MAY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in set {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the page and its scripts may weigh together.
    const BYTES_MOST: usize = 150_000;

    fn text_of(name: &str) -> &'static str {
        FILES.iter().find(|(path, ..)| *path == name).map(|(.., text)| *text).expect("a file of the page")
    }

    /// What stands between each `before` and the quote behind it.
    fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
        text.split(before).skip(1).map(|rest| rest.split('"').next().expect("a part")).collect()
    }

    #[test]
    fn x28_the_policy_of_the_page_lets_nothing_else_in_and_frames_it_nowhere() {
        let rules: Vec<_> = MAY.split("; ").collect();
        assert_eq!(rules[0], "default-src 'none'");
        for rule in ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"] {
            assert!(rules.contains(&rule), "{rule}");
        }
        for lax in ["unsafe-", "*", "http:", "https:", "data:", "blob:", "ws:", "nonce-", "strict-dynamic"] {
            assert!(!MAY.contains(lax), "{lax}");
        }
    }

    #[test]
    fn x28_every_file_of_the_page_is_served_and_every_one_that_is_asked_for_is_there() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gateway/page");
        let names = std::fs::read_dir(folder).expect("the page").map(|entry| entry.expect("a file").file_name());
        let there: BTreeSet<String> = names.map(|name| name.into_string().expect("a plain name")).collect();
        let served = FILES.iter().map(|(path, ..)| if *path == "/" { "index.html" } else { &path[1..] }.to_owned());
        assert_eq!(there, served.collect());
        let mut asked = BTreeSet::from(["index.html".to_owned()]);
        for (path, _, text) in FILES {
            let named = ["src=\"", "href=\"", "from \"", "import \"", "import(\"", "url(\""].map(|before| quoted(text, before));
            for name in named.into_iter().flatten().filter(|name| !name.starts_with('#')) {
                let name = name.strip_prefix("./").unwrap_or(name);
                assert!(there.contains(name), "{path} asks for {name}");
                asked.insert(name.to_owned());
            }
        }
        assert_eq!(there, asked, "what nobody asks for is not needed");
        assert!(FILES.iter().map(|(.., text)| text.len()).sum::<usize>() < BYTES_MOST);
    }

    #[test]
    fn x28_the_page_says_nothing_that_its_policy_would_have_to_stop() {
        let page = text_of("/");
        for inline in ["<style", "style=", "javascript:", "://", "=\"//", "=\"/", " on"] {
            let found = page.split('<').any(|tag| tag.split('>').next().is_some_and(|tag| format!("<{tag}").contains(inline)));
            assert!(!found, "index.html has {inline}");
        }
        for script in page.split("<script").skip(1) {
            let (tag, rest) = script.split_once('>').expect("a tag");
            assert!(tag.contains("src=\"") && rest.starts_with("</script>"), "<script{tag}> is in the page itself");
        }
        for (path, ..) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "Function(",
                "document.cookie",
                "localStorage",
            ] {
                assert!(!text_of(path).contains(word), "{path} says {word}");
            }
        }
    }
}
