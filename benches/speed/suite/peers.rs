//! Comparison with other optimizers.

use wgpu_adam::Options;

use super::{Failure, Findings, adamw, one};
use crate::cpu::Twin;
use crate::naive::Naive;
use crate::ours::Layout;
use crate::report::{Table, Target, ms};
use crate::shapes::{equal, gpt2_small, resnet50, splats};
use crate::subject::Subject;

impl Findings<'_> {
    pub(super) fn peers(&mut self) -> Result<(), Failure> {
        let mut peers = std::mem::take(&mut self.peers);
        let mut head = vec!["AdamW, ms per step", "ours, arena", "ours, separate", "naive WGSL", "ours, CPU"];
        let names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
        head.extend(names.iter().map(String::as_str));
        let mut table = Table::new("Peers", "", &head);
        let cases = [
            ("16 Mi in one tensor", one(1 << 24)),
            ("1,000 × 1,000", equal(1000, 1000, 1)),
            ("ResNet-50", resnet50()),
            ("splats", splats()),
            ("GPT-2 small", gpt2_small()),
        ];
        for (number, (name, shapes)) in cases.into_iter().enumerate() {
            if !self.fits(name, shapes.iter().map(|shape| shape.len).sum()) {
                continue;
            }
            let mut subjects: Vec<Box<dyn Subject + '_>> = vec![
                Box::new(self.ours(&shapes, Layout::Arena, adamw(), Options::default())?),
                Box::new(self.ours(&shapes, Layout::Scattered, adamw(), Options::default())?),
                Box::new(Twin::new(&shapes, adamw(), Options::default())?),
            ];
            let naive = Naive::new(self.gpu, &shapes);
            let has_naive = naive.is_some();
            subjects.extend(naive.map(|naive| Box::new(naive) as Box<dyn Subject>));
            let mut ready = Vec::new();
            for (i, peer) in peers.iter_mut().enumerate() {
                match peer.prepare(&shapes) {
                    Ok(()) => {
                        ready.push(i);
                        subjects.push(Box::new(peer));
                    }
                    Err(error) => eprintln!("speed: {error}"),
                }
            }
            let times = self.measure(&mut subjects)?;
            drop(subjects);
            let at = |i: usize| times.get(i).map_or("-".to_owned(), |time| ms(time.wall));
            let mut cells = vec![name.to_owned(), at(0), at(1), if has_naive { at(3) } else { "-".to_owned() }, at(2)];
            let first = if has_naive { 4 } else { 3 };
            let of_peer = |i: usize| ready.iter().position(|p| *p == i).map(|position| times[first + position]);
            cells.extend((0..peers.len()).map(|i| of_peer(i).map_or("-".to_owned(), |time| ms(time.wall))));
            table.row(cells);
            for peer in &mut peers {
                peer.prepare(&[])?;
            }
            if number > 1 {
                continue;
            }
            for (i, peer) in names.iter().enumerate() {
                let Some(time) = of_peer(i) else { continue };
                let (arena, twin) = (time.wall / times[0].wall, time.wall / times[2].wall);
                match (peer.as_str(), number) {
                    ("torch-fused", 0) => {
                        self.targets.push(Target::at_least(
                            "16 Mi: time of PyTorch fused on the CPU / ours, CPU",
                            1.0,
                            twin,
                        ));
                    }
                    ("torch-fused", _) => self.targets.push(Target::at_least(
                        "1,000 × 1,000: time of PyTorch fused on the CPU / ours, CPU",
                        5.0,
                        twin,
                    )),
                    ("torch-cuda", 0) => {
                        self.targets.push(Target::at_least(
                            "16 Mi: time of PyTorch fused with CUDA / ours",
                            1.0,
                            arena,
                        ));
                    }
                    _ => {}
                }
            }
        }
        let about = peers.iter().map(|peer| format!("{}: {}", peer.name, peer.about)).collect::<Vec<_>>().join("; ");
        table.note = format!(
            "Wall clock, from the first command of many steps to the end of the last step. Separate means separately allocated{}{about}.",
            if about.is_empty() { "" } else { ". " }
        );
        self.add(table);
        Ok(())
    }
}
