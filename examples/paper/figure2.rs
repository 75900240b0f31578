//! Figure 2: a network of two hidden layers, with and without dropout.

use crate::{
    Result,
    cli::Cli,
    contest::{ALIKE, Contender, Task, contest, statement},
    data::Data,
    figure1::{constant, nesterov, panel},
    gpu::Gpu,
    net::Net,
    plot::{self, BLUE, GREEN, ORANGE, PURPLE},
    runs::rates,
};
use wgpu_adam::{Config, preset};

fn contenders() -> Vec<Contender> {
    let runs = |config: Config, from: i32| constant(&config, rates(from..=from + 3));
    vec![
        Contender { name: "AdaGrad", color: GREEN, runs: runs(preset::pytorch::adagrad(), -5) },
        Contender { name: "RMSProp", color: PURPLE, runs: runs(preset::pytorch::rmsprop(), -7) },
        Contender { name: "SGD-Nesterov", color: ORANGE, runs: runs(nesterov(), -4) },
        Contender { name: "Adam", color: BLUE, runs: runs(Config::default(), -7) },
    ]
}

pub fn draw(cli: &Cli, gpu: &Gpu, data: &Data) -> Result<()> {
    let (epochs, seed) = (cli.epochs.unwrap_or(if cli.data.is_some() { 12 } else { 40 }), cli.seed);
    let (hidden, batch) = if cli.data.is_some() { (128, 128) } else { (64, 32) };
    let hidden = cli.hidden.map_or(hidden, usize::from);
    let (mut panels, mut statements) = (Vec::new(), Vec::new());
    for (share, name) in [(0.5, "dropout"), (0.0, "no dropout")] {
        let net = Net::classifier(data.features, &[hidden, hidden], data.classes, [0.0, share]);
        println!("figure 2: {}, {name}", net.shape());
        let best = contest(gpu, &Task { data, net: &net, batch, epochs, seed }, &contenders())?;
        best.iter().for_each(|best| println!("{}", best.line()));
        panels.push(panel(format!("{}, {}, {name}", data.name, net.shape()), &best));
        let [others @ .., adam] = &best[..] else { return Err("four rules were asked for".into()) };
        for other in others {
            statements.push((format!("{name}: Adam is ahead of {}", other.name), adam.ahead(other, ALIKE)));
        }
    }
    let path = cli.out.join("figure2.svg");
    plot::draw(&path, (1000, 420), (1, 2), &panels)?;
    println!("  picture: {}", path.display());
    statements.into_iter().for_each(|(what, seen)| statement(&what, seen));
    Ok(())
}
