//! State files: their contents, and damaged files.

use std::sync::LazyLock;

use crate::sampling::proptest_cases;
use half::bf16;
use proptest::prelude::*;
use safetensors::SafeTensors;
use wgpu_adam::precision::{Master, StateDtype};
use wgpu_adam::preset::{optax, pytorch};
use wgpu_adam::state::{Base, ClockState};
use wgpu_adam::{Config, Decay, Dtype, Error, LossScale, Options, Precision, Schedule, State, Variant, cpu};

pub fn state(steps: usize) -> State {
    plain(steps).state()
}

/// An optimizer after `steps` steps. It has two groups, one with AMSGrad, and a tensor with an unusual name.
fn plain(steps: usize) -> cpu::Adam {
    let tensor = cpu::Tensor::new;
    let groups = [
        cpu::Group::new(pytorch::amsgrad(), vec![tensor("w.1", 5), tensor("é \"quoted\"\n", 1)]),
        cpu::Group::new(Config { lr: 0.1 + 0.2, ..pytorch::adamw() }, vec![tensor("b", 3)]),
    ];
    let mut adam = cpu::Adam::new(&groups, Options { skip_nonfinite: true, ..Options::default() }).unwrap();
    let (mut a, mut b, mut c) = ([1.0; 5], [2.0; 1], [3.0; 3]);
    for step in 0..steps {
        let g = (step as f32 * 0.7).sin() * 1e-3;
        let (mut ga, mut gb, mut gc) = ([g, -g, 0.0, 1e-42, -0.0], [g * g], [f32::MAX, g, -1e19]);
        gc[0] = 1e19;
        let mut slots = [
            cpu::TensorMut::new(&mut a, &mut ga),
            cpu::TensorMut::new(&mut b, &mut gb),
            cpu::TensorMut::new(&mut c, &mut gc),
        ];
        adam.step(&mut slots).unwrap();
    }
    adam
}

/// The same with all narrow storage: moments in bf16 or 8-bit blocks, a remainder or a master, and a loss scale.
fn narrow(steps: usize, state: StateDtype, master: Master) -> cpu::Adam {
    let params = cpu::Tensor::new("w", 300).with_dtypes(Dtype::Bf16, Dtype::I32).with_grad_scale(1e-3);
    let group = cpu::Group::new(pytorch::amsgrad(), vec![params, cpu::Tensor::new("b", 3)]);
    let precision = Precision { state, state_min_len: 4, master, seed: 0xffff_ffff, ..Precision::default() };
    let options = Options { precision, loss_scale: Some(LossScale::default()), ..Options::default() };
    let mut adam = cpu::Adam::new(&[group], options).unwrap();
    let (mut w, mut b) = ([bf16::from_f32(0.1); 300], [3.0; 3]);
    for step in 0..steps {
        let mut small = [0.1, -1e-9, 7.0];
        let mut grads: Vec<i32> = (0..300).map(|i| (i * 7919 + step as i32 * 31) % 2000 - 1000).collect();
        let mut slots = [cpu::TensorMut::new(&mut w, &mut grads), cpu::TensorMut::new(&mut b, &mut small)];
        adam.step(&mut slots).unwrap();
    }
    adam
}

#[test]
fn a_state_survives_a_round_trip_through_a_file() {
    for steps in [0, 1, 100] {
        let state = state(steps);
        assert_eq!(State::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
        for format in [StateDtype::Bf16, StateDtype::Block8] {
            for master in [Master::None, Master::F32, Master::Remainder] {
                let state = narrow(steps, format, master).state();
                assert_eq!(State::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
            }
        }
    }
    // A schedule and its position.
    let mut scheduled = state(3);
    let table = Schedule::Table { values: vec![0.1, 1.0 / 3.0], every: 7, interpolate: true };
    scheduled.groups[1].schedule = Some(Schedule::Sequence(vec![(0, Schedule::WarmUp { steps: 3 }), (4, table)]));
    scheduled.clocks[1].position = 5;
    assert_eq!(State::from_bytes(&scheduled.to_bytes().unwrap()).unwrap(), scheduled);
    // Every bit of every value survives, including NaNs and infinities.
    let mut odd = state(1);
    let values = [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::INFINITY, -0.0];
    odd.tensors[0].state[0].bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(State::from_bytes(&odd.to_bytes().unwrap()).unwrap(), odd);
}

/// Every configuration survives to the last bit, and so do the values that the device derives from it.
#[test]
fn the_numbers_of_a_configuration_survive_exactly() {
    let mut state = state(1);
    for i in 0..20_000_u64 {
        let uniform = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1_u64 << 53) as f64;
        let variant = Variant::NAdam { momentum_decay: Some(uniform * 1e-3) };
        let (lr, eps) = (uniform * 1e-3, uniform.powi(20));
        state.groups[1].config = Config {
            lr,
            beta1: uniform,
            beta2: 0.999 - uniform / 2.0,
            eps,
            decay: Decay::L2(uniform),
            variant,
            ..Config::default()
        };
        state.clocks[1].lr = lr as f32;
        assert_eq!(State::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
    }
}

#[test]
fn a_file_is_safetensors_with_pytorchs_names() {
    let adam = state(3);
    let bytes = adam.to_bytes().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let odd = |key: &str| format!("é \"quoted\"\n.{key}");
    let (avg, avg_sq, max, step) = (odd("exp_avg"), odd("exp_avg_sq"), odd("max_exp_avg_sq"), odd("step"));
    let want = [
        "b.exp_avg",
        "b.exp_avg_sq",
        "b.step",
        "w.1.exp_avg",
        "w.1.exp_avg_sq",
        "w.1.max_exp_avg_sq",
        "w.1.step",
        &avg,
        &avg_sq,
        &max,
        &step,
    ];
    assert_eq!(names, want);
    let moment = file.tensor("w.1.exp_avg_sq").unwrap();
    assert_eq!((moment.dtype(), moment.shape()), (safetensors::Dtype::F32, &[5][..]));
    assert_eq!(moment.data(), &adam.tensors[0].state[1].bytes[..]);
    let step = file.tensor("b.step").unwrap();
    assert_eq!((step.dtype(), step.shape(), step.data()), (safetensors::Dtype::I64, &[][..], &3_i64.to_le_bytes()[..]));
    let key = |config: Config| {
        let group = cpu::Group::new(config, vec![cpu::Tensor::new("w", 1)]);
        let bytes = cpu::Adam::new(&[group], Options::default()).unwrap().state().to_bytes().unwrap();
        let mut names: Vec<String> =
            SafeTensors::deserialize(&bytes).unwrap().names().iter().map(|name| (*name).to_owned()).collect();
        names.sort_unstable();
        names.join(" ")
    };
    let momentum =
        Variant::RmsProp { momentum: 0.9, nesterov: false, lr_in_momentum: false, initial: 0.0, centered: false };
    assert_eq!(key(Config { variant: momentum, ..pytorch::rmsprop() }), "w.momentum_buffer w.square_avg w.step");
    assert_eq!(key(pytorch::adamax()), "w.exp_avg w.exp_inf w.step");
    assert_eq!(key(pytorch::adagrad()), "w.step w.sum");
    assert_eq!(key(pytorch::sgd()), "w.step");
}

static GOOD: LazyLock<(State, Vec<u8>)> = LazyLock::new(|| with_bytes(state(3)));
static NARROW: LazyLock<(State, Vec<u8>)> =
    LazyLock::new(|| with_bytes(narrow(3, StateDtype::Block8, Master::Remainder).state()));

fn with_bytes(state: State) -> (State, Vec<u8>) {
    let bytes = state.to_bytes().unwrap();
    (state, bytes)
}

/// Damage to a file: a byte is changed, a bit is flipped, bytes are lost, duplicated or inserted, the end is cut off.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, u8),
    Bit(usize, u8),
    Removed(usize, usize),
    Duplicated(usize, usize),
    Inserted(usize, Vec<u8>),
    Cut(usize),
}

fn damage(len: usize) -> impl Strategy<Value = Damage> {
    let at = move || 0..len;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Bit(at, bit)),
        (at(), 1..40_usize).prop_map(|(at, len)| Damage::Removed(at, len)),
        (at(), 1..40_usize).prop_map(|(at, len)| Damage::Duplicated(at, len)),
        (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Inserted(at, bytes)),
        at().prop_map(Damage::Cut),
    ]
}

/// One of the two files, with some damage.
fn damages() -> impl Strategy<Value = (&'static (State, Vec<u8>), Vec<Damage>)> {
    prop::sample::select(vec![&GOOD, &NARROW])
        .prop_flat_map(|file| (Just(&**file), prop::collection::vec(damage(file.1.len()), 1..4)))
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let within = |at: usize, len: usize, bytes: &Vec<u8>| at.min(bytes.len())..(at + len).min(bytes.len());
        match self {
            Self::Byte(at, byte) => bytes.iter_mut().skip(*at).take(1).for_each(|b| *b = *byte),
            Self::Bit(at, bit) => bytes.iter_mut().skip(*at).take(1).for_each(|b| *b ^= 1 << bit),
            Self::Removed(at, len) => drop(bytes.drain(within(*at, *len, bytes))),
            Self::Duplicated(at, len) => {
                let range = within(*at, *len, bytes);
                let duplicated = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, duplicated);
            }
            Self::Inserted(at, new) => drop(bytes.splice(within(*at, 0, bytes), new.iter().copied())),
            Self::Cut(at) => bytes.truncate(*at),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(2_000), failure_persistence: None, ..ProptestConfig::default() })]

    /// Reading it gives an error. If only irrelevant bytes were hit (a space in the header, say), it gives exactly the
    /// state that was saved.
    #[test]
    fn a_damaged_file_is_an_error((file, damages) in damages()) {
        let (state, mut bytes) = file.clone();
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        match State::from_bytes(&bytes) {
            Ok(read) => prop_assert_eq!(read, state),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

/// A file made of a JSON object and of tensors by the specification in the module `state`, without the crate.
fn file(json: &str, tensors: &[(&str, &str, Option<usize>, Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    let mut crc = crc32fast::Hasher::new();
    crc.update(json.as_bytes());
    for (name, dtype, len, bytes) in tensors {
        let shape = Vec::from_iter(*len);
        crc.update(format!("{name} {dtype} {shape:?}\n").as_bytes());
        crc.update(bytes);
        let end = data.len() + bytes.len();
        let info = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [data.len(), end]});
        header.insert((*name).to_owned(), info);
        data.extend(bytes);
    }
    let crc = format!("{:08x}", crc.finalize());
    let metadata =
        serde_json::json!({"format": "wgpu-adam", "version": "1", "state": json, "crc32": crc, "author": "x"});
    header.insert("__metadata__".into(), metadata);
    let header = serde_json::Value::from(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

#[test]
fn another_program_can_write_a_file_by_the_specification() {
    let json = r#"{"t": 9, "skipped": 2, "options": {}, "loss_scale": {"scale": 1024.0, "growth_tracker": 3},
        "groups": [{"config": {"lr": 0.5, "decay": {"Decoupled": 0.01}}, "schedule": {"WarmUp": {"steps": 100}}},
            {"config": {"variant": "Lion"}}],
        "clocks": [{"group": 0, "t": 9, "lr": 0.25}, {"group": 0, "t": 4, "lr": 0.0}],
        "tensors": [{"name": "b", "clock": 1, "len": 2}, {"name": "w", "clock": 0, "len": 300}]}"#;
    let f32s = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    // The codes of all levels, and 0 and NaN. The second block of the 300 elements has 44.
    let codes: Vec<u8> = (0..=255).chain(212..=255).collect();
    let v_codes: Vec<u8> = (0..=255).chain(211..=254).collect();
    let tensors = [
        ("b.exp_avg", "F32", Some(2), f32s(&[1.5, -2.0])),
        ("b.exp_avg_sq", "BF16", Some(2), vec![0x80, 0x3f, 0, 0x40]),
        ("b.step", "I64", None, 4_i64.to_le_bytes().to_vec()),
        ("w.exp_avg", "U8", Some(300), codes.clone()),
        ("w.exp_avg_scale", "F32", Some(2), f32s(&[4.0, 1e-3])),
        ("w.exp_avg_sq", "U8", Some(300), v_codes.clone()),
        ("w.exp_avg_sq_scale", "F32", Some(2), f32s(&[0.1, 3.0])),
        ("w.master", "F32", Some(300), f32s(&[0.7; 300])),
        ("w.step", "I64", None, 9_i64.to_le_bytes().to_vec()),
    ];
    let state = State::from_bytes(&file(json, &tensors)).unwrap();
    assert_eq!((state.t, state.skipped, state.options.clone()), (9, 2, Options::default()));
    let scale = state.loss_scale.unwrap();
    assert_eq!((scale.scale, scale.growth_tracker), (1024.0, 3));
    assert_eq!(state.groups[0].config, Config { lr: 0.5, decay: Decay::Decoupled(0.01), ..Config::default() });
    assert_eq!(state.groups[0].schedule, Some(Schedule::WarmUp { steps: 100 }));
    assert_eq!((&state.groups[1].config.variant, &state.groups[1].schedule), (&Variant::Lion, &None));
    // The position is the largest t of the group. The group without a clock gets one.
    let clocks: Vec<_> = state.clocks.iter().map(|clock| (clock.group, clock.t, clock.position, clock.lr)).collect();
    assert_eq!(clocks, [(0, 9, 9, 0.25), (0, 4, 9, 0.0), (1, 0, 0, 0.0)]);
    let config = Config { lr: 0.5, decay: Decay::Decoupled(0.01), ..Config::default() };
    let mut at = ClockState::at(0, &config, 4);
    at.position = 9;
    assert_eq!(state.clocks[1], at);
    let [b, w] = &state.tensors[..] else { panic!("{:?}", state.tensors) };
    assert_eq!((b.m(), b.v(), b.clock, b.len), (vec![1.5, -2.0], vec![1.0, 2.0], 1, 2));
    let level = |above: u32, fine: u32| match above < 8 * fine {
        true => f32::from_bits(0x3f80_0000 - (above << 20)),
        false => f32::from_bits(0x3f80_0000 - (fine << 23) - ((above - 8 * fine) << 21)),
    };
    let element = |code: u8, signed: bool| match (code, signed) {
        (0, _) => 0.0,
        (0x80, true) | (0xff, false) => f32::NAN,
        (code, true) => level(127 - u32::from(code & 0x7f), 11) * if code < 0x80 { 1.0 } else { -1.0 },
        (code, false) => level(254 - u32::from(code), 24),
    };
    for (got, codes, signed, scales) in [(w.m(), codes, true, [4.0, 1e-3]), (w.v(), v_codes, false, [0.1, 3.0])] {
        for (i, (got, code)) in got.into_iter().zip(codes).enumerate() {
            let want = element(code, signed) * scales[i / 256];
            assert!(got == want || got.is_nan() && want.is_nan(), "{i}: {got} for {want}");
        }
    }
    // An optimizer loads it, and writes the same state.
    let group = |config, tensors| cpu::Group::new(config, tensors);
    let param = |name, len, dtype| cpu::Tensor::new(name, len).with_dtypes(dtype, Dtype::F32);
    let precision =
        Precision { state: StateDtype::Block8, state_min_len: 100, master: Master::F32, ..Precision::default() };
    let options = Options { precision, loss_scale: Some(LossScale::default()), ..Options::default() };
    let groups = [
        group(Config::default(), vec![param("b", 2, Dtype::F32), param("w", 300, Dtype::Bf16)]),
        group(optax::lion(), vec![]),
    ];
    let mut adam = cpu::Adam::new(&groups, options.clone()).unwrap();
    let error = adam.load_state(&state).unwrap_err().to_string();
    assert!(error.contains("v as Bf16 in 4 bytes"), "{error}");
    let (state, _) = state.fitted(&adam.state(), Base::State).unwrap();
    adam.load_state(&state).unwrap();
    let mut loaded = adam.state();
    assert_eq!(loaded.groups[1].schedule.take(), Some(Schedule::Constant(1.0)));
    loaded.groups = state.groups.clone();
    // As text, since a NaN is in it.
    assert_eq!(format!("{loaded:?}"), format!("{state:?}"));
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let nested = |depth| (0..depth).fold(Schedule::Constant(1.0), |inner, _| Schedule::Sequence(vec![(0, inner)]));
    let mut state = state(1);
    state.groups[0].schedule = Some(nested(30));
    assert_eq!(State::from_bytes(&state.to_bytes().unwrap()).unwrap(), state);
    state.groups[0].schedule = Some(nested(60));
    let error = state.to_bytes().unwrap_err().to_string();
    assert!(error.contains("groups[0].schedule") && error.contains("recursion limit exceeded"), "{error}");
    state.groups[0].schedule = None;
    state.tensors[0].name = "x".repeat(30_000_000);
    let error = state.to_bytes().unwrap_err().to_string();
    assert!(error.starts_with("invalid optimizer state: the header has 15"), "{error}");
    assert!(error.ends_with("bytes, but a file holds at most 100000000"), "{error}");
}

#[test]
fn a_file_of_an_earlier_version_has_no_position_where_it_is_t() {
    let read = |change: Change| State::from_bytes(&rewritten(change, "1"));
    let more = |position: Option<u32>| {
        move |s: &mut serde_json::Value| {
            let mut clock = serde_json::json!({"group": 0, "t": 1, "lr": 0.0});
            if let Some(position) = position {
                clock["position"] = position.into();
            }
            s["clocks"].as_array_mut().unwrap().push(clock);
        }
    };
    let state = read(&more(Some(3))).unwrap();
    assert_eq!((state.clocks[0].position, state.clocks[2].position), (3, 3));
    assert_eq!(read(&more(None)).unwrap(), state);
    let error = read(&more(Some(4))).unwrap_err().to_string();
    assert!(error.ends_with("group 0: clock 0 has position 3 and clock 2 has 4, but must have the same"), "{error}");
}

type Change<'a> = &'a dyn Fn(&mut serde_json::Value);

/// The powers of beta of the first clock, without their last bits. A clock that jumps to t and one that counts to t
/// differ in these bits.
fn powers(state: &State) -> Vec<u64> {
    let bytes = state.to_bytes().unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let json: serde_json::Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["state"]).unwrap();
    let powers = json["clocks"][0]["powers"].as_array().unwrap();
    powers.iter().map(|power| u64::from_str_radix(power.as_str().unwrap(), 16).unwrap() >> 8).collect()
}

/// A file with changed metadata and a correct checksum.
fn rewritten(change: impl Fn(&mut serde_json::Value), version: &str) -> Vec<u8> {
    rewritten_without(&GOOD.1, change, version, "")
}

/// The same, and the tensor named `without` is removed.
fn rewritten_without(bytes: &[u8], change: impl Fn(&mut serde_json::Value), version: &str, without: &str) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&metadata["state"]).unwrap();
    change(&mut json);
    let json = json.to_string();
    let mut views: Vec<_> = file.iter().filter(|(name, _)| *name != without).collect();
    views.sort_unstable_by_key(|(name, _)| *name);
    let mut crc = crc32fast::Hasher::new();
    crc.update(json.as_bytes());
    for (name, view) in &views {
        crc.update(format!("{name} {:?} {:?}\n", view.dtype(), view.shape()).as_bytes());
        crc.update(view.data());
    }
    metadata.insert("state".into(), json);
    metadata.insert("version".into(), version.into());
    metadata.insert("crc32".into(), format!("{:08x}", crc.finalize()));
    safetensors::serialize(views, Some(metadata)).unwrap()
}

#[test]
fn errors_say_what_is_wrong_in_a_file() {
    let read = |change: Change| State::from_bytes(&rewritten(change, "1"));
    assert_eq!(read(&|_| {}).unwrap(), GOOD.0);
    let later = State::from_bytes(&rewritten(|_| {}, "2")).unwrap_err();
    assert!(matches!(later, Error::StateVersion { given: 2, need: 1, .. }), "{later:?}");
    let unusable = "invalid optimizer state: ";
    let none = State::from_bytes(&rewritten(|_| {}, "one")).unwrap_err().to_string();
    assert_eq!(none, format!("{unusable}the version is `one`, but must be at most 1"));
    let of_another = safetensors::serialize([("w", Empty)], Some([("format".into(), "pt".into())].into())).unwrap();
    let error = State::from_bytes(&of_another).unwrap_err().to_string();
    assert_eq!(error, format!("{unusable}the format is `pt`, but must be `wgpu-adam`"));
    let cases: [(Change, &str); 12] = [
        (&|s| s["groups"][1]["config"]["beta1"] = 1.0.into(), "group 1: beta1 is 1, but must be in [0, 1)"),
        (
            &|s| s["groups"][1]["config"]["beta1"] = "x".into(),
            "`groups[1].config.beta1` in `state` of the metadata: invalid type: string \"x\", expected f64 at",
        ),
        (
            &|s| s["groups"][1]["config"]["unheard"] = 1.into(),
            "`groups[1].config.unheard` of the state: unknown field `unheard`: a newer version of this crate wrote the state",
        ),
        (
            &|s| s["groups"][0]["config"]["variant"] = "Sophia".into(),
            "`groups[0].config.variant` of the state: unknown variant `Sophia`: a newer version of this crate wrote the state",
        ),
        (
            &|s| s["options"]["clip"] = serde_json::json!({"Value": -1.0}),
            "option clip (value) is -1, but must be finite and above 0",
        ),
        (
            &|s| {
                s["clocks"]
                    .as_array_mut()
                    .unwrap()
                    .push(serde_json::json!({"group": 1, "t": 9, "position": 4, "lr": 0.0}))
            },
            "group 1: clock 1 has position 9 and clock 2 has 4, but must have the same",
        ),
        (&|s| s["clocks"][0]["t"] = 4.into(), "`w.1.step` must be the i64 4, the step count of its clock"),
        (&|s| s["clocks"][0]["powers"][0] = "xyz".into(), "clock 0: `xyz` is not a 64-bit number in hexadecimal"),
        (&|s| s["clocks"][1]["group"] = 2.into(), "clock 1 refers to group 2, but there are 2 groups"),
        (
            &|s| s["clocks"][1]["lr"] = (-1.0).into(),
            "the learning rate of clock 1 is -1, but must be finite and not negative",
        ),
        (&|s| s["tensors"][2]["clock"] = 9.into(), "tensor `b` refers to clock 9, but there are 2 clocks"),
        (
            &|s| drop(s["tensors"].as_array_mut().unwrap().pop()),
            "unexpected entry `b.exp_avg`: no tensor of this state owns it",
        ),
    ];
    for (change, want) in cases {
        let error = read(change).unwrap_err().to_string();
        assert!(error.trim_start_matches(unusable).starts_with(want), "{error}, but must begin with {want}");
    }
    // Missing powers are computed from t.
    let without = read(&|s| drop(s["clocks"][0].as_object_mut().unwrap().remove("powers"))).unwrap();
    assert_eq!(powers(&without), powers(&GOOD.0));
    // A missing field of a configuration has its default.
    let fewer = read(&|s| drop(s["groups"][1]["config"].as_object_mut().unwrap().remove("beta2"))).unwrap();
    assert_eq!(fewer, GOOD.0);
    for (bytes, want) in [
        (&b""[..], "not a safetensors file"),
        (&b"hello, this is a text"[..], "not a safetensors file"),
        (&GOOD.1[..GOOD.1.len() - 1], "not a safetensors file"),
        (&safetensors::serialize([("w", Empty)], None).unwrap(), "the metadata has no `format`"),
    ] {
        let error = State::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.trim_start_matches(unusable).starts_with(want), "{error}, but must begin with {want}");
    }
}

#[test]
fn a_file_that_lacks_a_tensor_is_rejected() {
    let adams = [plain(0), narrow(0, StateDtype::Block8, Master::Remainder)];
    for ((good, bytes), mut adam) in [&*GOOD, &*NARROW].into_iter().zip(adams) {
        adam.load_state(good).unwrap();
        for lost in SafeTensors::deserialize(bytes).unwrap().names() {
            let read = State::from_bytes(&rewritten_without(bytes, |_| {}, "1", lost));
            let error = read.and_then(|state| adam.load_state(&state)).unwrap_err().to_string();
            assert!(error.contains(lost.rsplit_once('.').unwrap().0), "{lost}: {error}");
            assert_eq!(adam.state(), *good, "{lost}");
        }
    }
}

struct Empty;

impl safetensors::View for Empty {
    fn dtype(&self) -> safetensors::Dtype {
        safetensors::Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &[0]
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        (&[][..]).into()
    }

    fn data_len(&self) -> usize {
        0
    }
}
