//! Tables: aligned with headings on a terminal, tab-separated without decoration on a pipe.

use super::{Style, safe};

/// Renders rows. Cells are made safe to show; the last column is not padded.
pub fn render(headings: &[&str], rows: &[Vec<String>], style: Style) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| safe(cell)).collect()).collect();
    if !style.is_terminal {
        return rows.iter().map(|row| row.join("\t")).collect::<Vec<_>>().join("\n");
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let missing = widths[column].saturating_sub(cell.chars().count());
            let is_last = column + 1 == cells.len();
            format!("{cell}{}", " ".repeat(if is_last { 0 } else { missing }))
        });
        padded.collect::<Vec<_>>().join("  ")
    };
    let heading: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let mut lines = vec![style.strong(&line(&heading))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_tabs_and_no_heading() {
        let rows = [vec!["a".to_owned(), "b\u{1b}[2J".to_owned()]];
        assert_eq!(render(&["NAME", "TEXT"], &rows, Style::plain()), "a\tb\\u{1b}[2J");
    }
}
