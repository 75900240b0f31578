//! The training on the bundled digits, as the page calls it.

use crate::{
    Result,
    check::Check,
    cpu::{Cpu, forward, tensor_ranges},
    data::Data,
    device::Device,
    file::{self, Training},
    gpu::Gpu,
    network::Network,
    random::Random,
    settings::Settings,
};
use wasm_bindgen::prelude::*;
use wgpu_adam::{Report, State, probe::Insight};

/// Number of rows in a minibatch.
const BATCH: usize = 32;
const HIDDEN: usize = 64;

/// What a run gives back: two numbers for each row, which are its loss and whether it was read correctly; and the report
/// and the measurements of the last step.
pub struct Scores {
    pub train: Vec<f32>,
    pub exam: Vec<f32>,
    pub report: Report,
    pub insight: Insight,
}

#[wasm_bindgen]
pub struct Digits {
    data: Data,
    network: Network,
    training: Training,
    /// The training rows, shuffled anew for each epoch.
    order: Vec<u32>,
    engine: Engine,
}

enum Engine {
    Gpu(Box<Gpu>),
    Cpu(Box<Cpu>),
}

/// A run of several steps, for the plots.
#[wasm_bindgen(getter_with_clone)]
pub struct Run {
    /// The number of applied steps.
    pub t: u32,
    pub skipped: u32,
    /// The tensor whose gradient was not finite in the last skipped step.
    pub culprit: Option<String>,
    /// The mean loss of each minibatch.
    pub losses: Vec<f32>,
    /// The share of held-out rows that are read correctly, in percent.
    pub accuracy: f64,
    /// The learning rate of the last step.
    pub lr: f64,
    /// The mean signal-to-noise ratio, for rules that have one.
    pub snr: Option<f64>,
    /// The largest step and the root mean square of all, in units of the learning rate.
    #[wasm_bindgen(js_name = largestStep)]
    pub largest_step: Option<f64>,
    #[wasm_bindgen(js_name = rmsStep)]
    pub rms_step: Option<f64>,
    #[wasm_bindgen(js_name = paperBound)]
    pub paper_bound: Option<f64>,
    /// The bytes of the optimizer's state.
    pub bytes: f64,
}

#[wasm_bindgen]
impl Digits {
    /// Begins a training on the GPU.
    #[wasm_bindgen(js_name = onGpu)]
    pub async fn on_gpu(device: &Device, settings: String, seed: u32) -> Result<Digits> {
        let (data, network, training, param) = begin(&settings, seed)?;
        let gpu = Gpu::new(device, &data, network, BATCH, &param, &training.settings).await?;
        Ok(Self { order: data.train.clone(), data, network, training, engine: Engine::Gpu(Box::new(gpu)) })
    }

    /// Begins a training on the CPU.
    #[wasm_bindgen(js_name = onCpu)]
    pub fn on_cpu(settings: String, seed: u32) -> Result<Digits> {
        let (data, network, training, param) = begin(&settings, seed)?;
        let cpu = Cpu::new(network, &param, &training.settings)?;
        Ok(Self { order: data.train.clone(), data, network, training, engine: Engine::Cpu(Box::new(cpu)) })
    }

    /// Makes at most `steps` steps, and fewer if the epoch ends. `poisoned` names the tensor that gets a NaN in its
    /// gradient in the first step.
    pub async fn run(&mut self, steps: usize, poisoned: Option<String>) -> Result<Run> {
        let first = self.next_batch();
        let all = self.data.train.len().div_ceil(BATCH);
        let batches = first..all.min(first + steps.max(1));
        let rows = batches.start * BATCH..self.data.train.len().min(batches.end * BATCH);
        let poisoned = poisoned.and_then(|name| tensor_ranges(&self.network).into_iter().find(|(of, _)| *of == name));
        let poisoned = poisoned.map(|(_, at)| at.start);
        let held_out = self.data.train.len()..self.data.labels.len();
        let scores = match &mut self.engine {
            Engine::Gpu(gpu) => gpu.run(batches.clone(), rows, held_out, poisoned).await?,
            Engine::Cpu(cpu) => cpu.run(&self.data, self.order[rows].chunks(BATCH), poisoned)?,
        };
        self.training.seen += batches.len() as u64;
        let bytes = match &self.engine {
            Engine::Gpu(gpu) => gpu.bytes(),
            Engine::Cpu(cpu) => cpu.bytes(),
        };
        Ok(scores.run(bytes))
    }

    /// Makes only a part of `steps` steps on the GPU, to be timed: the gradients, or what the optimizer does.
    pub async fn part(&self, steps: usize, gradients: bool) -> Result<()> {
        match &self.engine {
            Engine::Gpu(gpu) => gpu.part(steps, gradients).await,
            Engine::Cpu(_) => Err(JsError::new("only a training on the GPU can be timed in parts")),
        }
    }

    /// Makes one step on the GPU and on the CPU, and compares. Nothing to compare without a GPU.
    pub async fn check(&mut self) -> Result<Option<Check>> {
        let batch = self.next_batch();
        let Engine::Gpu(gpu) = &mut self.engine else { return Ok(None) };
        let check = gpu.check(batch).await?;
        self.training.seen += 1;
        Ok(Some(check))
    }

    /// Applies new settings to the running training. Returns true if that took a new optimizer, whose moments and step
    /// count start anew.
    pub async fn change(&mut self, settings: String) -> Result<bool> {
        let settings: Settings = serde_json::from_str(&settings)?;
        let same = settings.moments == self.training.settings.moments;
        let adjusted = same
            && match &mut self.engine {
                Engine::Gpu(gpu) => gpu.adjust(&settings).await?,
                Engine::Cpu(cpu) => cpu.adjust(&settings)?,
            };
        if !adjusted {
            match &mut self.engine {
                Engine::Gpu(gpu) => gpu.replace(&settings).await?,
                Engine::Cpu(cpu) => cpu.replace(&settings)?,
            }
        }
        self.training.settings = settings;
        Ok(!adjusted)
    }

    /// Returns the probability of each digit, for 64 pixels from 0 (paper) to 16 (ink).
    pub async fn read(&self, pixels: Vec<f32>) -> Result<Vec<f32>> {
        let x: Vec<f32> = pixels.iter().map(|pixel| pixel / f32::from(self.data.white)).collect();
        Ok(forward(&self.network, &self.param().await?, &x).1)
    }

    /// Returns the pixels of a held-out digit, and then the digit.
    #[wasm_bindgen(js_name = heldOut)]
    pub fn held_out(&self, number: usize) -> Vec<f32> {
        let row = self.data.held_out[number % self.data.held_out.len()] as usize;
        let pixels = &self.data.pixels[row * self.data.features..][..self.data.features];
        pixels.iter().map(|&pixel| f32::from(pixel)).chain([self.data.labels[row] as f32]).collect()
    }

    /// Returns the training as a safetensors file.
    pub async fn save(&self) -> Result<Vec<u8>> {
        let state = match &self.engine {
            Engine::Gpu(gpu) => gpu.state().await?,
            Engine::Cpu(cpu) => cpu.state(),
        };
        file::write(&self.network, &self.training, &self.param().await?, &state)
    }

    /// Goes on with a saved training, and returns its settings. On an error, nothing has changed.
    pub async fn load(&mut self, bytes: Vec<u8>) -> Result<String> {
        let (training, param, state): (Training, Vec<f32>, State) = file::read(&self.network, &bytes)?;
        match &mut self.engine {
            Engine::Gpu(gpu) => gpu.load(&training.settings, &param, &state).await?,
            Engine::Cpu(cpu) => cpu.load(&training.settings, &param, &state)?,
        }
        self.training = training;
        self.shuffle();
        Ok(serde_json::to_string(&self.training.settings)?)
    }

    /// The names of the tensors.
    pub fn tensors(&self) -> Vec<String> {
        tensor_ranges(&self.network).map(|(name, _)| name.to_owned()).to_vec()
    }

    async fn param(&self) -> Result<Vec<f32>> {
        match &self.engine {
            Engine::Gpu(gpu) => gpu.param().await,
            Engine::Cpu(cpu) => Ok(cpu.param.clone()),
        }
    }

    /// Returns the number of the next minibatch in its epoch. A new epoch has a new order.
    fn next_batch(&mut self) -> usize {
        let batch = (self.training.seen % self.batches()) as usize;
        if batch == 0 {
            self.shuffle();
        }
        batch
    }

    fn batches(&self) -> u64 {
        self.data.train.len().div_ceil(BATCH) as u64
    }

    /// Makes the order of the current epoch, which depends on nothing but the seed and the epoch.
    fn shuffle(&mut self) {
        let epoch = self.training.seen / self.batches();
        self.order.clone_from(&self.data.train);
        Random::new(self.training.seed.wrapping_add(epoch)).shuffle(&mut self.order);
        if let Engine::Gpu(gpu) = &self.engine {
            gpu.reorder(&self.order);
        }
    }
}

fn begin(settings: &str, seed: u32) -> Result<(Data, Network, Training, Vec<f32>)> {
    let data = Data::digits();
    let network = Network { features: data.features, hidden: HIDDEN, classes: data.classes };
    let training = Training { settings: serde_json::from_str(settings)?, seed: seed.into(), seen: 0 };
    let param = network.init(&mut Random::new(seed.into()));
    Ok((data, network, training, param))
}

impl Scores {
    fn run(self, bytes: u64) -> Run {
        let Self { train, exam, report, insight } = self;
        let mean = |rows: &[f32]| 2.0 * rows.iter().step_by(2).sum::<f32>() / rows.len() as f32;
        let correct: f32 = exam.iter().skip(1).step_by(2).sum();
        let step = insight.all.step;
        Run {
            t: report.t,
            skipped: report.skipped,
            culprit: report.nonfinite_tensor,
            losses: train.chunks(2 * BATCH).map(mean).collect(),
            accuracy: 200.0 * f64::from(correct) / exam.len() as f64,
            lr: report.groups[0].lr.into(),
            snr: insight.all.snr.map(|snr| snr.mean),
            largest_step: step.map(|step| step.largest),
            rms_step: step.map(|step| step.rms),
            paper_bound: step.and_then(|step| step.paper_bound),
            bytes: bytes as f64,
        }
    }
}
