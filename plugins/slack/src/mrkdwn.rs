//! Markdown as Slack spells it: `*bold*`, `_italic_`, `<url|text>`, and no headings.

use anomd_notifier::text::is_web;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

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
    // The rows of the table that is open, and where its open cell begins.
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut cell = 0;
    // Where the quotation that is open begins.
    let mut quote = 0;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => out += &escaped(&text),
            Event::Code(text) => out += &format!("`{}`", escaped(&text)),
            Event::SoftBreak | Event::HardBreak => out.push('\n'),
            Event::Rule => out += "———\n",
            Event::Start(Tag::Strong) | Event::End(TagEnd::Strong) | Event::Start(Tag::Heading { .. }) => out.push('*'),
            Event::End(TagEnd::Heading(_)) => out += "*\n",
            Event::Start(Tag::Emphasis) | Event::End(TagEnd::Emphasis) => out.push('_'),
            Event::End(TagEnd::Paragraph) => out += "\n\n",
            Event::Start(Tag::BlockQuote(_)) => quote = out.len(),
            Event::End(TagEnd::BlockQuote(_)) => {
                let text = out.split_off(quote.min(out.len()));
                out.extend(text.trim_end().lines().map(|line| format!("> {line}\n")));
                out.push('\n');
            }
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
                    out += &link(&url, &plain(&text));
                }
            }
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => cell = out.len(),
            Event::End(TagEnd::TableCell) => {
                let text = out.split_off(cell);
                rows.last_mut().into_iter().for_each(|row| row.push(text.clone()));
            }
            Event::End(TagEnd::Table) => out += &table(&std::mem::take(&mut rows)),
            _ => {}
        }
    }
    out.trim_end().into()
}

/// A table as aligned text: Slack has none.
fn table(rows: &[Vec<String>]) -> String {
    let width = |text: &str| plain(text).chars().count();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|text| width(text)).max().unwrap_or_default())
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(text, most)| text.clone() + &" ".repeat(most - width(text)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    format!("```\n{}```\n", rows.iter().map(line).collect::<String>())
}

/// What [`escaped`] was given.
fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_stays_one() {
        assert_eq!(
            of_markdown("Said:\n\n> It leaks.\n> (a *model*)\n\nEnd"),
            "Said:\n\n> It leaks.\n> (a _model_)\n\nEnd"
        );
    }

    #[test]
    fn markdown_becomes_slacks() {
        let markdown = "# CPU\n\n**High** and *odd*, see [the page](https://a.example/x?a=1&b=2) or `top`.\n\n1. one\n2. two\n   - deep\n\nEnd";
        let expected = "*CPU*\n*High* and _odd_, see <https://a.example/x?a=1&amp;b=2|the page> or `top`.\n\n\
                        1. one\n2. two\n    • deep\n\nEnd";
        assert_eq!(of_markdown(markdown), expected);
    }

    #[test]
    fn a_table_is_aligned_text() {
        let markdown = "Today:\n\n| metric | alerts |\n|---|--:|\n| a<b | 12 |\n| requests | 3 |\n\nEnd";
        let expected = "Today:\n\n```\nmetric    alerts\na&lt;b       12\nrequests  3\n```\nEnd";
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
