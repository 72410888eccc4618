//! Text, numbers and tables as HTML. Everything that comes from a user's data is escaped here.

/// Text that may stand between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A rounded number that carries the whole one.
pub(crate) fn number(value: f64, digits: usize) -> String {
    format!("<data value=\"{value}\">{value:.digits$}</data>")
}

/// A number with its sign.
pub(crate) fn signed(value: f64, digits: usize) -> String {
    format!("<data value=\"{value}\">{value:+.digits$}</data>")
}

/// A count with thousands apart.
pub(crate) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    format!("<data value=\"{n}\">{text}</data>")
}

/// A cell of a table: what is shown, as HTML, and what it is sorted by.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    html: String,
    key: Option<f64>,
    best: bool,
}

impl Cell {
    pub(crate) fn text(text: &str) -> Self {
        Self { html: escape(text), key: None, best: false }
    }

    /// HTML that is escaped already.
    pub(crate) fn html(html: String, key: f64) -> Self {
        Self { html, key: Some(key), best: false }
    }

    pub(crate) fn number(value: Option<f64>, digits: usize) -> Self {
        match value {
            Some(value) => Self::html(number(value, digits), value),
            None => Self::none(None),
        }
    }

    pub(crate) fn count(n: usize) -> Self {
        Self::html(count(n), n as f64)
    }

    /// A dash, with the reason at hand.
    pub(crate) fn none(reason: Option<&str>) -> Self {
        let html = match reason {
            Some(reason) => format!("<span title=\"{}\">–</span>", escape(reason)),
            None => "–".to_owned(),
        };
        Self { html, key: None, best: false }
    }

    pub(crate) fn best(self, best: bool) -> Self {
        Self { best, ..self }
    }

    fn tag(&self, first: bool) -> String {
        let key = self.key.map_or(String::new(), |key| format!(" data-key=\"{key}\""));
        let class = if self.best { " class=\"best\"" } else { "" };
        match first {
            true => format!("<th scope=\"row\">{}</th>", self.html),
            false => format!("<td{key}{class}>{}</td>", self.html),
        }
    }
}

/// A table that scrolls sideways where it is wider than the page; its first column stays.
pub(crate) fn table(caption: &str, header: &[String], rows: &[Vec<Cell>]) -> String {
    let head: String =
        header.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
    let row = |cells: &Vec<Cell>| {
        let cells: String = cells.iter().enumerate().map(|(i, cell)| cell.tag(i == 0)).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let body: String = rows.iter().map(row).collect();
    format!(
        "<div class=\"wide\"><table><caption>{}</caption><thead><tr>{head}</tr></thead>\n\
         <tbody>\n{body}</tbody></table></div>\n",
        escape(caption)
    )
}

/// A paragraph of plain text; what stands between backquotes is code.
pub(crate) fn note(text: &str) -> String {
    let parts = escape(text);
    let part = |(i, part): (usize, &str)| match i % 2 {
        0 => part.to_owned(),
        _ => format!("<code>{part}</code>"),
    };
    let html: String = parts.split('`').enumerate().map(part).collect();
    format!("<p class=\"note\">{html}</p>\n")
}

/// Something that is there on demand.
pub(crate) fn details(summary: &str, content: &str) -> String {
    format!("<details><summary>{}</summary>\n{content}</details>\n", escape(summary))
}

/// Text as it was written.
pub(crate) fn verbatim(text: &str) -> String {
    format!("<pre>{}</pre>\n", escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_becomes_markup() {
        let name = "<b a=\"1\" c='2'>&amp;</b>";
        let expected = "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;";
        assert_eq!(escape(name), expected);
        let html =
            table(name, &[name.to_owned()], &[vec![Cell::text(name), Cell::none(Some(name))]])
                + &note(name)
                + &details(name, "")
                + &verbatim(name);
        assert_eq!(html.matches(expected).count(), 7);
        assert!(!html.contains("<b"));
    }

    #[test]
    fn a_rounded_number_carries_the_whole_one() {
        assert_eq!(number(0.94649, 3), "<data value=\"0.94649\">0.946</data>");
        assert_eq!(signed(0.0012, 3), "<data value=\"0.0012\">+0.001</data>");
        assert_eq!(count(1_234_567), "<data value=\"1234567\">1\u{202f}234\u{202f}567</data>");
    }
}
