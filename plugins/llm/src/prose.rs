//! What a model wrote, made harmless: Markdown of plain paragraphs and lists.
//!
//! The model has read names that somebody else chose, so its text may be a stranger's. No
//! link, image, HTML, heading or code is left of it, nor an address with a scheme or `www.`,
//! which mail programs and chats turn into a link by themselves.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// Bytes that are read of a text.
const READ: usize = 32 << 10;
/// What stands where an address stood.
const ADDRESS: &str = "(address left out)";

/// At most `most` characters of a text, as Markdown that does nothing.
pub fn harmless(markdown: &str, most: usize) -> String {
    let markdown = markdown.get(..markdown.floor_char_boundary(READ)).unwrap_or_default();
    let mut out = String::new();
    let mut block = String::new();
    // Depth of lists, and of images and HTML.
    let (mut lists, mut hidden) = (0_usize, 0_usize);
    for event in Parser::new(markdown) {
        match event {
            Event::Start(Tag::Image { .. } | Tag::HtmlBlock) => hidden += 1,
            Event::End(TagEnd::Image | TagEnd::HtmlBlock) => hidden = hidden.saturating_sub(1),
            Event::Text(text) | Event::Code(text) if hidden == 0 => block += &text,
            Event::SoftBreak | Event::HardBreak => block.push(' '),
            Event::Start(Tag::List(_)) => {
                finish(&mut out, &mut block, lists > 0);
                lists += 1;
            }
            Event::End(TagEnd::List(_)) => lists = lists.saturating_sub(1),
            Event::Rule
            | Event::End(
                TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::CodeBlock | TagEnd::BlockQuote(_),
            ) => finish(&mut out, &mut block, lists > 0),
            _ => {}
        }
    }
    finish(&mut out, &mut block, lists > 0);
    match out.char_indices().nth(most) {
        None => out,
        Some(_) => {
            let kept: String = out.chars().take(most.saturating_sub(1)).collect();
            // Half an escape would escape what comes after it.
            format!("{}…", kept.trim_end_matches('\\'))
        }
    }
}

/// Ends a block: a paragraph, or an item of a list.
fn finish(out: &mut String, block: &mut String, item: bool) {
    let text = escaped(&plain(block));
    block.clear();
    if text.is_empty() {
        return;
    }
    let list_goes_on = item && out.lines().last().is_some_and(|line| line.starts_with("- "));
    if !out.is_empty() {
        *out += if list_goes_on { "\n" } else { "\n\n" };
    }
    *out += if item { "- " } else { "" };
    *out += &text;
}

/// One line without addresses and without what cannot be seen.
fn plain(text: &str) -> String {
    let text: String = text.chars().filter(|c| !invisible(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = text.split_whitespace().map(|word| if is_address(word) { ADDRESS } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Marks of direction, of width zero, and the tags that hide a text in another.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

fn is_address(word: &str) -> bool {
    let word = word.to_lowercase();
    word.contains("://") || word.contains("www.") || word.contains("mailto:") || word.contains("tel:")
}

/// Text that stands for itself in Markdown.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let begins_list = text.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0);
    for (at, c) in text.char_indices() {
        let leading = at == 0 && matches!(c, '-' | '+' | '=');
        let numbered = begins_list == Some(at) && matches!(c, '.' | ')');
        if leading
            || numbered
            || matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~' | '|' | '#' | '!')
        {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader of Markdown makes of it: events that are no plain text.
    fn effects(markdown: &str) -> Vec<String> {
        let plain = |event: &Event<'_>| match event {
            Event::Text(_) | Event::SoftBreak => true,
            Event::Start(tag) => matches!(tag, Tag::Paragraph | Tag::List(None) | Tag::Item),
            Event::End(tag) => matches!(tag, TagEnd::Paragraph | TagEnd::List(false) | TagEnd::Item),
            _ => false,
        };
        Parser::new(markdown).filter(|event| !plain(event)).map(|event| format!("{event:?}")).collect()
    }

    #[test]
    fn paragraphs_and_lists_stay() {
        let text = "# CPU\n\nThe load rose to **42** from *13*.\nSince `14:03`:\n\n1. one\n2. two\n\nIt goes on.";
        assert_eq!(
            harmless(text, 500),
            "CPU\n\nThe load rose to 42 from 13. Since 14:03:\n\n- one\n- two\n\nIt goes on."
        );
    }

    #[test]
    fn nothing_in_a_text_leads_anywhere() {
        for text in [
            "[click](https://evil.example/?q=1) here",
            "see https://evil.example, www.evil.example or <https://evil.example>",
            "![chart](https://evil.example/pixel.png)",
            "<img src=x onerror=alert(1)> and <b>bold</b>",
            "<div>\nblock\n</div>",
            "\\[a\\](b) \\<script\\> \\![x](y)",
            "```sh\nrm -rf /\n```",
            "> quoted\n\n---\n\nText\n===",
            "[a]: https://evil.example\n\n[a]",
            "&lt;b&gt; &amp;copy; 1\\. one",
            "2026. was a year",
            "~~gone~~ | a | b |",
        ] {
            let harmless = harmless(text, 500);
            assert_eq!(effects(&harmless), Vec::<String>::new(), "{text:?} became {harmless:?}");
            assert!(!harmless.contains("evil.example"), "{text:?} became {harmless:?}");
        }
    }

    #[test]
    fn no_mixture_of_marks_has_an_effect() {
        const PARTS: [&str; 32] = [
            "a", "b ", " ", "\n", "\n\n", "*", "**", "_", "`", "```", "[", "]", "](", ")", "!", "![", "<", ">", "&lt;",
            "&#42;", "\\", "\\\\", "#", "- ", "1. ", "1) ", "+ ", "===", "---", "> ", "    ", "<!--",
        ];
        // A linear congruential generator (Knuth's MMIX): the same texts in every run.
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let text: String = (0..1 + next(20)).map(|_| PARTS[next(PARTS.len())]).collect();
            let (whole, cut) = (harmless(&text, 500), harmless(&text, 7));
            for shown in [whole, cut] {
                assert_eq!(effects(&shown), Vec::<String>::new(), "{text:?} became {shown:?}");
            }
        }
    }

    #[test]
    fn hidden_characters_are_gone_and_length_is_bounded() {
        assert_eq!(harmless("a\u{202e}b\u{200b}c\u{e0041}d\u{7}e", 500), "abcd e");
        assert_eq!(harmless("ärgerlich", 500), "ärgerlich");
        let long = harmless(&"*x* _ ".repeat(10_000), 100);
        assert_eq!(long.chars().count(), 100);
        assert_eq!(effects(&long), Vec::<String>::new());
        assert_eq!(harmless("ab\\*", 4), "ab\\*");
        assert_eq!(harmless("ab\\*cd", 4), "ab…");
        assert_eq!(harmless("   \n", 10), "");
    }
}
