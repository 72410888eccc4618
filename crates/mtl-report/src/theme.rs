//! Colours, as roles. The plotting crate writes fixed colours into its SVG, so each role is drawn in
//! a colour that stands for it; afterwards it becomes a CSS variable (in a page, which is light or
//! dark as its reader likes) or the light theme's value (in a file for a paper).

use plotters::style::RGBColor;

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Text and the marks that matter.
    Ink,
    /// Axes, labels of ticks, references.
    Muted,
    /// Lines of the grid.
    Grid,
    /// What lies behind.
    Surface,
    /// The n-th of several series; colours repeat after [`N_SERIES`].
    Series(usize),
}

/// Series of different colours.
pub(crate) const N_SERIES: usize = 8;

/// Name, light, dark. The series' hues are Okabe and Ito's order, told apart by every common form
/// of colour blindness, made darker or lighter until each has a contrast of 3 or more.
const ROLES: [(&str, &str, &str); 12] = [
    ("ink", "#1b1f24", "#e8eaed"),
    ("muted", "#5b6470", "#9aa4b0"),
    ("grid", "#e3e7eb", "#2e353d"),
    ("surface", "#ffffff", "#14181d"),
    ("series-0", "#0072b2", "#5ab4f0"),
    ("series-1", "#c8500a", "#ff8f55"),
    ("series-2", "#00805e", "#3fcfa3"),
    ("series-3", "#a8488a", "#e68fc9"),
    ("series-4", "#8f6a00", "#e6bd45"),
    ("series-5", "#3b3fa5", "#a5a9ff"),
    ("series-6", "#5f6368", "#c4c8cc"),
    ("series-7", "#8b1f3f", "#f28aa5"),
];

impl Role {
    /// The colour that stands for the role: no figure has another like it.
    pub(crate) const fn colour(self) -> RGBColor {
        RGBColor(0xFE, 0x01, self.index() as u8)
    }

    const fn index(self) -> usize {
        match self {
            Self::Ink => 0,
            Self::Muted => 1,
            Self::Grid => 2,
            Self::Surface => 3,
            Self::Series(n) => 4 + n % N_SERIES,
        }
    }
}

/// An SVG whose colours are variables of the page around it.
pub(crate) fn variables(svg: &str) -> String {
    replaced(svg, |(name, _, _)| format!("var(--{name})"))
}

/// An SVG in the light theme's colours, which needs nothing around it.
pub(crate) fn light(svg: &str) -> String {
    replaced(svg, |(_, light, _)| light.to_owned())
}

fn replaced(svg: &str, of: impl Fn((&str, &str, &str)) -> String) -> String {
    let mut svg = svg.to_owned();
    for (i, role) in ROLES.into_iter().enumerate() {
        svg = svg.replace(&format!("\"#FE01{i:02X}\""), &format!("\"{}\"", of(role)));
    }
    svg
}

/// The variables of both themes, as CSS.
pub(crate) fn css() -> String {
    let list = |of: fn(&(&str, &str, &str)) -> String| ROLES.iter().map(of).collect::<String>();
    format!(
        ":root{{color-scheme:light dark;{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        list(|(name, light, _)| format!("--{name}:{light};")),
        list(|(name, _, dark)| format!("--{name}:{dark};"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2).
    fn luminance(colour: &str) -> f64 {
        let part = |i: usize| {
            let value = u8::from_str_radix(&colour[i..i + 2], 16).expect("two hexadecimal digits");
            let c = f64::from(value) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_series_stand_out_from_the_surface_in_both_themes() {
        let surface = ROLES[3];
        for role in ROLES {
            let least = match role.0 {
                "grid" | "surface" => 1.0,
                "ink" | "muted" => 4.5,
                _ => 3.0,
            };
            for (colour, behind) in [(role.1, surface.1), (role.2, surface.2)] {
                assert!(contrast(colour, behind) >= least, "{}: {colour} on {behind}", role.0);
            }
        }
    }

    #[test]
    fn every_role_is_replaced() {
        for role in [Role::Ink, Role::Muted, Role::Grid, Role::Surface, Role::Series(9)] {
            let RGBColor(r, g, b) = role.colour();
            let svg = format!("<text fill=\"#{r:02X}{g:02X}{b:02X}\">#FE0100</text>");
            assert!(variables(&svg).starts_with("<text fill=\"var(--"), "{role:?}");
            assert!(light(&svg).ends_with("\">#FE0100</text>"), "text is left alone");
            assert!(!light(&svg).contains("\"#FE"), "{role:?}");
        }
        assert!(css().contains("--series-7:#f28aa5"));
    }
}
