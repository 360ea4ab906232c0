//! Markdown as Slack spells it: `*bold*`, `_italic_`, `<url|text>`, and no headings.

use anomd_notifier::text::is_web;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// Text that stands for itself. Slack reads `<`, `>` and `&` only, so nothing that a label
/// or a model says can call `@channel`.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A link, or its text alone if the URL is none of the web.
pub fn link(url: &str, text: &str) -> String {
    match is_web(url) {
        true => format!("<{}|{}>", escaped(url), escaped(text).replace('|', "¦")),
        false => escaped(text),
    }
}

/// Markdown in Slack's spelling. HTML in it is text.
pub fn of_markdown(markdown: &str) -> String {
    let mut out = String::new();
    // The URL of the link that is open, and where its text begins.
    let mut open: Option<(String, usize)> = None;
    let mut numbers: Vec<Option<u64>> = Vec::new();
    for event in Parser::new(markdown) {
        match event {
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => out += &escaped(&text),
            Event::Code(text) => out += &format!("`{}`", escaped(&text)),
            Event::SoftBreak | Event::HardBreak => out.push('\n'),
            Event::Rule => out += "———\n",
            Event::Start(Tag::Strong) | Event::End(TagEnd::Strong) | Event::Start(Tag::Heading { .. }) => out.push('*'),
            Event::End(TagEnd::Heading(_)) => out += "*\n",
            Event::Start(Tag::Emphasis) | Event::End(TagEnd::Emphasis) => out.push('_'),
            Event::End(TagEnd::Paragraph) => out += "\n\n",
            Event::Start(Tag::CodeBlock(_)) => out += "```\n",
            Event::End(TagEnd::CodeBlock) => out += "```\n",
            Event::Start(Tag::List(first)) => {
                if !numbers.is_empty() {
                    out.push('\n');
                }
                numbers.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                numbers.pop();
                out.push('\n');
            }
            Event::Start(Tag::Item) => {
                out += &"    ".repeat(numbers.len().saturating_sub(1));
                match numbers.last_mut() {
                    Some(Some(number)) => {
                        out += &format!("{number}. ");
                        *number += 1;
                    }
                    _ => out += "• ",
                }
            }
            Event::End(TagEnd::Item) => {
                out.truncate(out.trim_end().len());
                out.push('\n');
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                open = Some((dest_url.into_string(), out.len()));
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if let Some((url, from)) = open.take() {
                    let text = out.split_off(from);
                    // The text is escaped already; a link escapes once.
                    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                    out += &link(&url, &plain);
                }
            }
            _ => {}
        }
    }
    out.trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_slacks() {
        let markdown = "# CPU\n\n**High** and *odd*, see [the page](https://a.example/x?a=1&b=2) or `top`.\n\n1. one\n2. two\n   - deep\n\nEnd";
        let expected = "*CPU*\n*High* and _odd_, see <https://a.example/x?a=1&amp;b=2|the page> or `top`.\n\n\
                        1. one\n2. two\n    • deep\n\nEnd";
        assert_eq!(of_markdown(markdown), expected);
    }

    #[test]
    fn nothing_in_a_text_calls_people_or_hides_a_link() {
        assert_eq!(of_markdown("<!channel> hi <@U1>"), "&lt;!channel&gt; hi &lt;@U1&gt;");
        assert_eq!(of_markdown("[click](javascript:alert(1))"), "click");
        assert_eq!(link("https://a.example/|x>", "a"), "a");
        assert_eq!(link("https://a.example/?x=1&y=2", "a|b"), "<https://a.example/?x=1&amp;y=2|a¦b>");
    }
}
