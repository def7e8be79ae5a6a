//! What is printed: medians with the least and the most, and ratios of runs in the same round. Beside
//! them the ratio of the least figures, which are those of an undisturbed machine.

use super::compare::Run;
use super::programs::Comparison;
use super::support::{fastest, median, spread};

pub fn speed(compared: &Comparison, columns: &[Vec<Run>]) {
    let programs = &compared.programs;
    println!(
        "{:19}  {:27}  requests/s",
        "", "CPU of the server, µs/request"
    );
    for (program, runs) in programs.iter().zip(columns) {
        let cpu: Vec<f64> = runs.iter().map(|run| run.cpu_per_request).collect();
        let rate: Vec<f64> = runs.iter().map(|run| run.requests_per_second).collect();
        println!(
            "{:19}  {:29}  {}",
            program.name,
            spread(&cpu, 2),
            spread(&rate, 0)
        );
    }
    println!("CPU per request, as ratio{:28}  of the least", "");
    let column = |name| programs.iter().position(|program| program.name == name);
    for &(ours, theirs, goal) in &compared.ratios {
        let Some((ours_at, theirs_at)) = column(ours).zip(column(theirs)) else {
            continue;
        };
        let ratios: Vec<f64> = columns[ours_at]
            .iter()
            .zip(&columns[theirs_at])
            .map(|(ours, theirs)| ours.cpu_per_request / theirs.cpu_per_request)
            .collect();
        let at_rest = least(&columns[ours_at]) / least(&columns[theirs_at]);
        let names = format!("{ours} / {theirs}");
        let goal = goal.map_or(String::new(), |goal| verdict(median(&ratios), goal));
        println!(
            "  {names:34}  {:22}  {at_rest:.3}  {goal}",
            spread(&ratios, 3)
        );
    }
}

fn least(runs: &[Run]) -> f64 {
    fastest(
        &runs
            .iter()
            .map(|run| run.cpu_per_request)
            .collect::<Vec<_>>(),
    )
}

/// Whether a figure is within its goal.
pub fn verdict(figure: f64, goal: f64) -> String {
    let verdict = if figure <= goal {
        "PASS"
    } else {
        "not reached"
    };
    format!("{verdict} (goal: at most {goal})")
}
