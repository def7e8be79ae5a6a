//! What is printed: medians with the least and the most, and how ours compares with the others in the
//! same round.

use super::servers::OURS;
use super::support::process::Program;
use super::support::{median, spread};

/// One figure of all servers: a column of numbers for each.
pub struct Figure<'a> {
    pub name: &'a str,
    pub programs: &'a [Program],
    pub columns: Vec<Vec<f64>>,
}

/// What a ratio has to be.
#[derive(Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub fn verdict(self, figure: f64) -> String {
        let (reached, words, bound) = match self {
            Goal::AtMost(bound) => (figure <= bound, "at most", bound),
            Goal::AtLeast(bound) => (figure >= bound, "at least", bound),
        };
        let verdict = if reached { "PASS" } else { "not reached" };
        format!("{verdict} (goal: {words} {bound:.3})")
    }
}

impl Figure<'_> {
    pub fn column(&self, name: &str) -> Option<&[f64]> {
        let at = self.programs.iter().position(|p| p.name == name)?;
        Some(&self.columns[at])
    }

    /// Ours by each of the others, and whether that is what `goals` say.
    pub fn print_ratios(&self, goals: &[(&str, Goal)]) {
        let Some(ours) = self.column(OURS) else {
            return;
        };
        for (program, theirs) in self.programs.iter().zip(&self.columns) {
            if program.name == OURS {
                continue;
            }
            let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
            let goal = goals.iter().find(|(name, _)| *name == program.name);
            let verdict = goal.map(|(_, goal)| goal.verdict(median(&ratios)));
            println!(
                "  {:4} {OURS} / {:9}  {:23}  {}",
                self.name,
                program.name,
                spread(&ratios, 3),
                verdict.unwrap_or_default()
            );
        }
    }
}

/// A row of the table: a name, and `median (least .. most)` of each figure with so many digits.
pub fn print_row(name: &str, figures: &[(&[f64], usize)]) {
    let cells: Vec<String> = figures
        .iter()
        .map(|(numbers, digits)| format!("{:30}", spread(numbers, *digits)))
        .collect();
    println!("{name:19}  {}", cells.join("  ").trim_end());
}

pub fn print_heads(heads: &[&str]) {
    let cells: Vec<String> = heads.iter().map(|head| format!("{head:30}")).collect();
    println!("{:19}  {}", "", cells.join("  ").trim_end());
}
