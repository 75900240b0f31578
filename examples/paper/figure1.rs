//! Figure 1: logistic regression, on digits and on the words of passages with dropout. The rates fall as 1/sqrt(t).

use crate::{
    Result,
    cli::Cli,
    contest::{ALIKE, Best, Contender, Task, contest, statement},
    data::Data,
    gpu::Gpu,
    net::Net,
    plot::{self, BLUE, Curve, GREEN, ORANGE, PURPLE, Panel},
    runs::{Run, rates},
    words::words,
};
use plotters::prelude::SeriesLabelPosition;
use wgpu_adam::{Config, Schedule, Variant, preset};

pub fn nesterov() -> Config {
    Config { variant: Variant::Sgd { momentum: 0.9, dampening: 0.0, nesterov: true }, ..Config::default() }
}

fn falling(config: &Config, rates: Vec<f64>) -> Vec<Run> {
    let schedule = Schedule::InverseSqrt { timescale: 1 };
    rates.into_iter().map(|lr| Run { config: Config { lr, ..config.clone() }, schedule: schedule.clone() }).collect()
}

pub fn constant(config: &Config, rates: Vec<f64>) -> Vec<Run> {
    rates.into_iter().map(|lr| Run::from(Config { lr, ..config.clone() })).collect()
}

fn contenders() -> Vec<Contender> {
    // AdaGrad's steps fall as 1/sqrt(t) by themselves. It may choose to fall once or twice.
    let adagrad = preset::pytorch::adagrad();
    let once_or_twice = [falling(&adagrad, rates(-3..=1)), constant(&adagrad, rates(-4..=0))].concat();
    vec![
        Contender { name: "AdaGrad", color: GREEN, runs: once_or_twice },
        Contender { name: "SGD-Nesterov", color: ORANGE, runs: falling(&nesterov(), rates(-3..=3)) },
        Contender { name: "Adam", color: BLUE, runs: falling(&Config::default(), rates(-4..=2)) },
    ]
}

pub fn draw(cli: &Cli, gpu: &Gpu, digits: &Data) -> Result<()> {
    let (epochs, seed) = (cli.epochs.unwrap_or(45), cli.seed);
    let words = words();
    let regression = |data: &Data, drop| Net::classifier(data.features, &[], data.classes, [drop, 0.0]);
    println!("figure 1, left: logistic regression");
    let net = regression(digits, 0.0);
    let left = contest(gpu, &Task { data: digits, net: &net, batch: 128, epochs, seed }, &contenders())?;
    left.iter().for_each(|best| println!("{}", best.line()));
    println!("figure 1, right: {}, dropout of half of them", words.title);
    let net = regression(&words, 0.5);
    let mut sparse = contenders();
    let rmsprop = falling(&preset::pytorch::rmsprop(), rates(-4..=2));
    sparse.push(Contender { name: "RMSProp", color: PURPLE, runs: rmsprop });
    let right = contest(gpu, &Task { data: &words, net: &net, batch: 128, epochs, seed }, &sparse)?;
    right.iter().for_each(|best| println!("{}", best.line()));

    let path = cli.out.join("figure1.svg");
    let linear = |title: String, best: &[Best]| {
        // As in the paper, the first epochs are above the panel.
        let top = best.iter().map(|best| best.curve[best.curve.len() / 15]).fold(0.0, f64::max);
        let panel = panel(title, best);
        Panel { y_range: panel.y_range.start..top, log_y: false, cut: true, ..panel }
    };
    let panels = [
        linear(format!("{}: logistic regression", digits.name), &left),
        linear(format!("{}: the same, dropout", words.name), &right),
    ];
    plot::draw(&path, (1000, 420), (1, 2), &panels)?;
    println!("  picture: {}", path.display());
    let [adagrad, sgd, adam] = &left[..] else { return Err("three rules were asked for".into()) };
    statement("digits: Adam converges like SGD with Nesterov's momentum", adam.alike(sgd));
    statement("digits: Adam is ahead of AdaGrad", adam.ahead(adagrad, ALIKE));
    statement("digits: SGD with Nesterov's momentum is ahead of AdaGrad", sgd.ahead(adagrad, ALIKE));
    let [adagrad, sgd, adam, ..] = &right[..] else { return Err("four rules were asked for".into()) };
    statement("words: AdaGrad is far ahead of SGD with Nesterov's momentum", adagrad.ahead(sgd, 0.5));
    statement("words: Adam is far ahead of SGD with Nesterov's momentum", adam.ahead(sgd, 0.5));
    statement("words: Adam converges like AdaGrad", adam.alike(adagrad));
    Ok(())
}

/// The curves of the best runs, on a logarithmic axis.
pub fn panel(title: String, best: &[Best]) -> Panel {
    let curves: Vec<Curve> = best
        .iter()
        .map(|Best { name, color, curve, .. }| {
            let points = (1..).map(f64::from).zip(curve.iter().copied()).collect();
            Curve { name: name.to_string(), color: *color, points, dots: false }
        })
        .collect();
    let epochs = best.iter().map(|best| best.curve.len()).max().unwrap_or(1);
    Panel {
        title,
        x: "epoch",
        y: "training loss",
        x_range: 0.0..epochs as f64,
        y_range: plot::range(&curves, true),
        log_y: true,
        cut: false,
        numbers: true,
        curves,
        legend: Some(SeriesLabelPosition::UpperRight),
    }
}
