//! Tables with aligned columns.

use crate::values::invisible::visible;

/// A line of titles and one for each row, two spaces between the columns.
pub(super) fn aligned<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let rows = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell)));
    let rows: Vec<_> = std::iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row.iter()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: String = row.iter().zip(widths).map(|(cell, &width)| format!("{cell:width$}  ")).collect();
    format!("{}\n", cells.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_control_characters_escaped() {
        let rows = [["al\u{1b}[2Jice".to_owned(), "1".to_owned()], ["\u{202e}b".to_owned(), "22".to_owned()]];
        assert_eq!(aligned(["USER", "N"], &rows), "USER       N\nal?[2Jice  1\n\u{fffd}b         22\n");
    }
}
