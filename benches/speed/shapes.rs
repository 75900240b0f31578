//! Tensor lengths of real models, in the order of the model.

/// The length of a tensor and its group.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub len: u64,
    pub group: usize,
}

fn all_in_one(lens: impl IntoIterator<Item = u64>) -> Vec<Shape> {
    lens.into_iter().map(|len| Shape { len, group: 0 }).collect()
}

pub fn equal(count: usize, len: u64, groups: usize) -> Vec<Shape> {
    (0..count).map(|i| Shape { len, group: i % groups }).collect()
}

/// ResNet-50 for ImageNet (He et al. 2016): 161 tensors, 25.6 M.
pub fn resnet50() -> Vec<Shape> {
    let mut lens = vec![64 * 3 * 49, 64, 64];
    let mut input = 64;
    for (blocks, width) in [(3, 64), (4, 128), (6, 256), (3, 512)] {
        for block in 0..blocks {
            let output = 4 * width;
            // Each convolution is followed by the two vectors of its batch norm.
            lens.extend([width * input, width, width]);
            lens.extend([width * width * 9, width, width]);
            lens.extend([output * width, output, output]);
            if block == 0 {
                lens.extend([output * input, output, output]);
            }
            input = output;
        }
    }
    lens.extend([1000 * 2048, 1000]);
    all_in_one(lens)
}

/// GPT-2 small (Radford et al. 2019): 148 tensors, 124 M. Two groups, as usual: matrices decay, vectors do not.
pub fn gpt2_small() -> Vec<Shape> {
    let width = 768;
    let (matrix, vector) = (|len| Shape { len, group: 0 }, |len| Shape { len, group: 1 });
    let mut shapes = vec![matrix(50_257 * width), matrix(1024 * width)];
    for _ in 0..12 {
        shapes.extend([vector(width), vector(width)]);
        shapes.extend([matrix(width * 3 * width), vector(3 * width), matrix(width * width), vector(width)]);
        shapes.extend([vector(width), vector(width)]);
        shapes.extend([matrix(width * 4 * width), vector(4 * width), matrix(4 * width * width), vector(width)]);
    }
    shapes.extend([vector(width), vector(width)]);
    shapes
}

/// A scene of a million Gaussian splats (Kerbl et al. 2023): 6 tensors, 59 M, each with its own learning rate:
/// positions, colours, the other spherical harmonics, opacities, scales and rotations.
pub fn splats() -> Vec<Shape> {
    let splats = 1_000_000;
    [3, 3, 45, 1, 3, 4].into_iter().enumerate().map(|(group, each)| Shape { len: splats * each, group }).collect()
}
