//! Tables for people: aligned columns, nothing else.

/// A line of titles and one for each row, two spaces between the columns.
pub(super) fn aligned<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    let titles = titles.map(str::to_owned);
    let rows: Vec<_> = std::iter::once(&titles).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row.iter()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| line(&row[..], &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: String = row.iter().zip(widths).map(|(cell, &width)| format!("{cell:width$}  ")).collect();
    format!("{}\n", cells.trim_end())
}
