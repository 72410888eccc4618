//! A report: sections of text, tables and figures, and the page that holds them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::html::{details, escape, note};
use crate::{Error, Figure, FigureFormat, Result, theme};

/// A page, and the figures in it.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    /// What stands under the title, as HTML.
    facts: String,
    chapters: Vec<Chapter>,
}

/// One comparison, training or sweep.
#[derive(Clone, Debug)]
pub(crate) struct Chapter {
    /// Its heading, where the page has several.
    title: String,
    sections: Vec<Section>,
}

/// A heading with what is under it.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    title: &'static str,
    html: String,
    figures: Vec<Figure>,
}

impl Section {
    pub(crate) fn new(title: &'static str) -> Self {
        Self { title, html: String::new(), figures: Vec::new() }
    }

    /// Says how to read what follows.
    pub(crate) fn note(mut self, text: &str) -> Self {
        self.html += &note(text);
        self
    }

    /// Adds HTML.
    pub(crate) fn html(mut self, html: &str) -> Self {
        self.html += html;
        self
    }

    /// Adds HTML that is shown on demand.
    pub(crate) fn details(mut self, summary: &str, html: &str) -> Self {
        if !html.is_empty() {
            self.html += &details(summary, html);
        }
        self
    }

    /// Adds figures side by side.
    pub(crate) fn figures(self, figures: Vec<Figure>) -> Self {
        self.grid("figures", figures)
    }

    /// Adds figures as wide as the page.
    pub(crate) fn large(self, figures: Vec<Figure>) -> Self {
        self.grid("figures large", figures)
    }

    fn grid(mut self, class: &str, figures: Vec<Figure>) -> Self {
        if !figures.is_empty() {
            let inline: String = figures.iter().map(Figure::inline).collect();
            self.html += &format!("<div class=\"{class}\">\n{inline}</div>\n");
        }
        self.figures.extend(figures);
        self
    }
}

impl Chapter {
    pub(crate) fn new(title: &str, sections: Vec<Section>) -> Self {
        let sections = sections.into_iter().filter(|section| !section.html.is_empty()).collect();
        Self { title: title.to_owned(), sections }
    }
}

impl Report {
    /// `facts` is HTML.
    pub(crate) fn new(title: &str, facts: String, chapters: Vec<Chapter>) -> Self {
        Self { title: title.to_owned(), facts, chapters }
    }

    /// The whole page: one file that needs no other.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let several = self.chapters.len() > 1;
        let (mut links, mut body) = (String::new(), String::new());
        for (i, chapter) in self.chapters.iter().enumerate() {
            if several {
                let name = escape(&chapter.title);
                body += &format!("<h2 id=\"c{i}\">{name}</h2>\n");
                links += &format!("<a href=\"#c{i}\">{name}</a>\n");
            }
            for (j, section) in chapter.sections.iter().enumerate() {
                let name = section.title;
                body += &format!("<section>\n<h3 id=\"s{i}-{j}\">{name}</h3>\n");
                body += &section.html;
                body += "</section>\n";
                if !several {
                    links += &format!("<a href=\"#s{i}-{j}\">{name}</a>\n");
                }
            }
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{}{}</style>\n</head>\n<body>\n\
             <header>\n<h1>{title}</h1>\n<p class=\"facts\">{}</p>\n<nav>\n{links}</nav>\n\
             </header>\n<main>\n{body}</main>\n<script>\n{}</script>\n</body>\n</html>\n",
            theme::css(),
            include_str!("style.css"),
            self.facts,
            include_str!("sort.js"),
        )
    }

    /// Every figure with a name of its own, in the page's order.
    pub fn figures(&self) -> Vec<Figure> {
        let (mut names, mut figures) = (BTreeSet::new(), Vec::new());
        for chapter in &self.chapters {
            for figure in chapter.sections.iter().flat_map(|section| &section.figures) {
                let mut figure = figure.clone();
                let name = figure.name.clone();
                let mut n = 2;
                while !names.insert(figure.name.clone()) {
                    figure.name = format!("{name}-{n}");
                    n += 1;
                }
                figures.push(figure);
            }
        }
        figures
    }

    /// Writes every figure as `NAME.svg` or `NAME.png` into a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Write`], naming the file, or what an image could not be made of.
    pub fn write_figures(&self, folder: &Path, format: FigureFormat) -> Result<()> {
        let wrong = |path: &Path, source| Error::Write { file: path.display().to_string(), source };
        std::fs::create_dir_all(folder).map_err(|error| wrong(folder, error))?;
        for figure in self.figures() {
            let path = folder.join(format!("{}.{}", figure.name, format.extension()));
            std::fs::write(&path, figure.file(format)?).map_err(|error| wrong(&path, error))?;
        }
        Ok(())
    }
}
