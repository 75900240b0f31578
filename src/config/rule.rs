//! The update rules that are compiled, and the state that each of them keeps.

use crate::num::block8::{Code, SIGNED, UNSIGNED};
use crate::num::wgsl::shader;

/// Defines [`Rule`] from a table with a row for each rule.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident, $file:literal, [$($kind:ident: $key:literal),*], snr: $snr:literal;)*) => {
        /// An update rule that is compiled: a file in `shaders/rules/`, and the function of that name in
        /// `cpu/rules.rs`. The other differences between variants are scalars.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Rule {
            $($(#[$doc])* $rule),*
        }

        impl Rule {
            #[cfg(test)]
            pub const ALL: &[Self] = &[$(Self::$rule),*];

            /// Its function in WGSL.
            pub fn wgsl(self) -> &'static str {
                match self {
                    $(Self::$rule => shader!("rules/", $file)),*
                }
            }

            /// Its state tensors, each with PyTorch's name.
            pub fn state(self) -> &'static [(StateKind, &'static str)] {
                match self {
                    $(Self::$rule => &[$((StateKind::$kind, $key)),*]),*
                }
            }

            /// Whether it averages both the gradient and its square, so that there is a signal-to-noise ratio.
            pub fn has_snr(self) -> bool {
                match self {
                    $(Self::$rule => $snr),*
                }
            }
        }
    };
}

// The rule, its file, its state tensors with PyTorch's names, and whether it has a signal-to-noise ratio.
rules! {
    Adam, "adam", [M: "exp_avg", V: "exp_avg_sq"], snr: true;
    AmsGrad, "amsgrad", [M: "exp_avg", V: "exp_avg_sq", VMax: "max_exp_avg_sq"], snr: true;
    AdaMax, "adamax", [M: "exp_avg", V: "exp_inf"], snr: false;
    NAdam, "nadam", [M: "exp_avg", V: "exp_avg_sq"], snr: true;
    AdaBelief, "adabelief", [M: "exp_avg", V: "exp_avg_sq"], snr: true;
    LaProp, "laprop", [M: "exp_avg", V: "exp_avg_sq"], snr: false;
    Adopt, "adopt", [M: "exp_avg", V: "exp_avg_sq"], snr: false;
    AdEmaMix, "ademamix", [M: "exp_avg_fast", V: "exp_avg_sq", GradAvg: "exp_avg_slow"], snr: true;
    Lamb, "adam", [M: "exp_avg", V: "exp_avg_sq"], snr: true;
    Stable, "adam", [M: "exp_avg", V: "exp_avg_sq"], snr: true;
    Cautious, "cautious", [M: "exp_avg", V: "exp_avg_sq"], snr: true;
    ScheduleFree, "schedule_free", [M: "z_minus_y", V: "exp_avg_sq"], snr: false;
    Lion, "lion", [M: "exp_avg"], snr: false;
    RmsProp, "rmsprop", [V: "square_avg"], snr: false;
    RmsPropMomentum, "rmsprop_momentum", [M: "momentum_buffer", V: "square_avg"], snr: false;
    RmsPropCentered, "rmsprop_centered", [V: "grad_var", GradAvg: "grad_avg"], snr: false;
    RmsPropCenteredMomentum, "rmsprop_centered_momentum",
        [M: "momentum_buffer", V: "grad_var", GradAvg: "grad_avg"], snr: false;
    AdaGrad, "adagrad", [V: "sum"], snr: false;
    Momentum, "momentum", [M: "momentum_buffer"], snr: false;
    Sgd, "sgd", [], snr: false;
}

/// A factor of the step of each tensor that is made of two sums over its elements. The numbers are the same in
/// `rescale_finish.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rescale {
    /// The norm of the parameters over that of the step.
    Lamb = 0,
    /// At most 1 over the root mean square of the gradients over the root of `v`.
    Stable = 1,
    /// 1 over the share of elements that take a step.
    Cautious = 2,
}

#[cfg(test)]
impl Rescale {
    pub const ALL: [Self; 3] = [Self::Lamb, Self::Stable, Self::Cautious];
}

impl Rule {
    /// The factor of the step of each tensor, if it has one.
    pub fn rescale(self) -> Option<Rescale> {
        match self {
            Self::Lamb => Some(Rescale::Lamb),
            Self::Stable => Some(Rescale::Stable),
            Self::Cautious => Some(Rescale::Cautious),
            _ => None,
        }
    }

    /// The kinds of its state tensors.
    pub fn state_kinds(self) -> impl ExactSizeIterator<Item = StateKind> {
        self.state().iter().map(|(kind, _)| *kind)
    }
}

/// The kind of a state tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateKind {
    /// The first moment. `z - y`, for Schedule-Free.
    M,
    /// The second moment. The variance of the gradient, for centered RMSProp.
    V,
    /// The maximum of all second moments so far, of AMSGrad.
    VMax,
    /// The average of the gradient, of centered RMSProp; the slow one of AdEMAMix.
    GradAvg,
    /// The block scales of an 8-bit `m`: see [`StateDtype::Block8`](crate::precision::StateDtype::Block8).
    MScale,
    /// The block scales of an 8-bit `v`.
    VScale,
    /// The block scales of an 8-bit `v_max`.
    VMaxScale,
    /// The block scales of an 8-bit `grad_avg`.
    GradAvgScale,
    /// The f32 copies of 16-bit parameters: see [`Master::F32`](crate::precision::Master::F32).
    Master,
    /// The lower 16 bits of bf16 parameters: see [`Master::Remainder`](crate::precision::Master::Remainder).
    Remainder,
    /// The steps of each row: see [`RowSteps::PerRow`](crate::rows::RowSteps::PerRow).
    RowSteps,
}

impl StateKind {
    pub(crate) const ALL: [Self; 11] = [
        Self::M,
        Self::MScale,
        Self::V,
        Self::VScale,
        Self::VMax,
        Self::VMaxScale,
        Self::GradAvg,
        Self::GradAvgScale,
        Self::Master,
        Self::Remainder,
        Self::RowSteps,
    ];

    /// Returns the name in equations and in WGSL, `"v_max"` for example.
    pub fn name(self) -> &'static str {
        match self {
            Self::M => "m",
            Self::V => "v",
            Self::VMax => "v_max",
            Self::GradAvg => "grad_avg",
            Self::MScale => "m_scale",
            Self::VScale => "v_scale",
            Self::VMaxScale => "v_max_scale",
            Self::GradAvgScale => "grad_avg_scale",
            Self::Master => "master",
            Self::Remainder => "remainder",
            Self::RowSteps => "row_steps",
        }
    }

    /// The scales of its blocks.
    pub(crate) fn scale(self) -> Option<Self> {
        match self {
            Self::M => Some(Self::MScale),
            Self::V => Some(Self::VScale),
            Self::VMax => Some(Self::VMaxScale),
            Self::GradAvg => Some(Self::GradAvgScale),
            _ => None,
        }
    }

    pub(crate) fn is_scale(self) -> bool {
        matches!(self, Self::MScale | Self::VScale | Self::VMaxScale | Self::GradAvgScale)
    }

    /// How its codes of 8 bits, or those that it scales, are to be read.
    pub(crate) fn code(self) -> Code {
        if matches!(self, Self::M | Self::MScale | Self::GradAvg | Self::GradAvgScale) { SIGNED } else { UNSIGNED }
    }
}
